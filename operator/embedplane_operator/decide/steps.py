"""One step of the way from a source to an engine: run its Job, read its answer, run it again after a failure. Pure.

The same for fetch, export and build. A Job is named by its inputs, so a Job of that name is the right one; it is
replaced, never patched, and joined when another model started it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from embedplane_operator.api.conditions import Reason
from embedplane_operator.decide.decision import CreateJob, JobAction, JoinJob
from embedplane_operator.jobs import JobRun, write_triggers
from embedplane_operator.kinds import Manifest
from embedplane_operator.no_room import NoRoom
from embedplane_operator.render.inputs import digest_of
from embedplane_operator.render.job import JobRequest
from embedplane_operator.render.manifest import Owner, owner_reference
from embedplane_operator.status import Finding, Outlook, unmet

TRANSIENT_SECONDS = 60.0
TRANSIENT_LIMIT = 900.0
PERMANENT_SECONDS = 3600.0
LOOK_AGAIN_STUCK = 10.0
LOOK_AGAIN_RUNNING = 60.0
LOOK_AGAIN_DELETING = 5.0


@dataclass(frozen=True)
class Step:
    """A Job that is wanted."""

    name: str
    inputs: str
    running: Reason
    doing: str
    """What it does, for people: "resolving and downloading the source"."""
    render: Callable[[JobRequest], Manifest]
    since: datetime | None = None
    """An answer that is not newer is out of date: what it names is not in the store any more."""


@dataclass(frozen=True)
class Waiter:
    """The model that wants it, and the hash of what it changed that makes a failed Job run again at once."""

    owner: Owner
    trigger: str


@dataclass(frozen=True)
class Outcome:
    """A result, or why there is none and what is done about it."""

    result: Mapping[str, Any] | None = None
    finding: Finding | None = None
    actions: tuple[JobAction, ...] = ()
    check_after: float | None = None
    no_room: NoRoom | None = None
    """Where its pod waits for a node."""


def advance(step: Step, run: JobRun | None, waiter: Waiter, now: datetime) -> Outcome:
    """What a wanted step has come to, and what to do next."""
    if run is None:
        return _started(step, waiter, None, 1)
    if run.deleting:
        return Outcome(finding=_running(step), check_after=LOOK_AGAIN_DELETING)
    outcome = _judge(step, run, waiter, now)
    is_replaced = any(isinstance(action, CreateJob) for action in outcome.actions)
    if is_replaced or (run.is_owned_by(waiter.owner.uid) and waiter.owner.uid in run.triggers):
        return outcome
    joined = JoinJob(run, owner_reference(waiter.owner), {**run.triggers, waiter.owner.uid: _trigger(step, waiter)})
    return replace(outcome, actions=(joined, *outcome.actions))


def _judge(step: Step, run: JobRun, waiter: Waiter, now: datetime) -> Outcome:
    if run.phase == "Complete":
        # without its pod a Complete Job cannot say anything; it runs again and reports from the store
        is_answered = run.result is not None and not _is_outdated(step, run)
        return Outcome(result=run.result) if is_answered else _started(step, waiter, run, run.attempt)
    if run.phase == "Failed":
        return _failed(step, run, waiter, now)
    outcome = _under_way(step, run, waiter, now)
    if outcome.finding and run.no_room_since and not outcome.actions:
        return replace(outcome, no_room=NoRoom(run.no_room_since, outcome.finding.message))
    return outcome


def _under_way(step: Step, run: JobRun, waiter: Waiter, now: datetime) -> Outcome:
    trouble = run.trouble_at(now)
    if trouble is None:
        is_at_work = run.started and run.overdue is None
        return Outcome(finding=_running(step), check_after=LOOK_AGAIN_RUNNING if is_at_work else LOOK_AGAIN_STUCK)
    is_idle = not run.started or run.overdue is not None
    if is_idle and _has_news(step, run, waiter):
        return _started(step, waiter, run, run.attempt)
    return Outcome(finding=unmet(trouble), check_after=LOOK_AGAIN_STUCK)


def _is_outdated(step: Step, run: JobRun) -> bool:
    return step.since is not None and run.finished is not None and run.finished <= step.since


def _failed(step: Step, run: JobRun, waiter: Waiter, now: datetime) -> Outcome:
    if _has_news(step, run, waiter):
        return _started(step, waiter, run, 1)
    again = (run.finished or run.created or now) + timedelta(seconds=pause_after(run))
    if now >= again:
        return _started(step, waiter, run, run.attempt + 1)
    trouble = run.trouble
    if trouble is None:
        raise ValueError(f"the failed Job {run.name} has no reason")
    words = f"{trouble.message} (try {run.attempt} failed; next try at {again:%H:%M:%S} UTC, sooner after a change)"
    outlook = Outlook.WORKING if trouble.transient else Outlook.STALLED
    return Outcome(
        finding=Finding("False", trouble.reason, words, outlook), check_after=(again - now).total_seconds() + 0.5
    )


def pause_after(run: JobRun) -> float:
    """Seconds between a failure and the next try."""
    if run.trouble is not None and not run.trouble.transient:
        return PERMANENT_SECONDS
    return min(TRANSIENT_LIMIT, TRANSIENT_SECONDS * 2.0 ** min(run.attempt - 1, 10))


def _has_news(step: Step, run: JobRun, waiter: Waiter) -> bool:
    """True when the user, or the installation, changed something that may let the Job succeed now.

    Each waiting model compares with its own earlier trigger only: two must not replace each other's Job for ever.
    """
    known = run.triggers.get(waiter.owner.uid)
    return known is not None and known != _trigger(step, waiter)


def _trigger(step: Step, waiter: Waiter) -> str:
    """The waiter's trigger with the pod as it is rendered now: a repaired installation counts as well.

    Never compared with the Job's spec: an admission webhook may have rewritten that.
    """
    pod = step.render(JobRequest(step.inputs, 1, "", (waiter.owner,)))["spec"]["template"]
    return digest_of([waiter.trigger, pod])[:16]


def _started(step: Step, waiter: Waiter, replaced: JobRun | None, attempt: int) -> Outcome:
    triggers = {**(replaced.triggers if replaced else {}), waiter.owner.uid: _trigger(step, waiter)}
    others = {Owner(owner["name"], owner["uid"]) for owner in (replaced.owners if replaced else ())}
    request = JobRequest(step.inputs, attempt, write_triggers(triggers), tuple(sorted(others | {waiter.owner})))
    action = CreateJob(step.render(request), replaced)
    return Outcome(finding=_running(step), actions=(action,), check_after=LOOK_AGAIN_STUCK)


def _running(step: Step) -> Finding:
    return Finding("False", step.running, f"{step.doing}: Job {step.name}")
