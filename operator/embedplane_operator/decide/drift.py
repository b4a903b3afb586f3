"""Whether the source has moved on since it was pinned: when to look, and what is said. Pure; moves nothing.

The look is a Job, since only Jobs hold a source's credentials, named by the source, the pinned commit and the slot of
time. It stays until the next slot: so each slot has one, whoever's memory is lost.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime

from embedplane_operator.api.conditions import ConditionType, Reason
from embedplane_operator.api.durations import span_of
from embedplane_operator.api.status import SourceStatus, UpstreamStatus
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.decide.decision import Decision, JobAction, LeaveJob
from embedplane_operator.decide.slots import slot_of
from embedplane_operator.decide.steps import Step, Waiter, advance
from embedplane_operator.observation import Observation
from embedplane_operator.pending import UNDER_WAY
from embedplane_operator.render.inputs import digest_of, source_inputs, upstream_inputs
from embedplane_operator.render.manifest import owner_of
from embedplane_operator.render.names import resolve_job_name
from embedplane_operator.render.resolve_job import render_resolve_job
from embedplane_operator.settings import Settings
from embedplane_operator.status import Finding, Findings

COMMIT = re.compile(r"[0-9a-f]{40}")
SHORTEST_PAUSE = 60.0
"""Seconds between two looks at a check that is in trouble: the model is served all the same."""


@dataclass(frozen=True)
class Check:
    """One look at the source."""

    upstream: UpstreamStatus | None = None
    finding: Finding | None = None
    actions: tuple[JobAction, ...] = ()
    check_after: float | None = None


def with_drift(decision: Decision, observed: Observation, settings: Settings, now: datetime) -> Decision:
    """The decision, with what is known about the source by now, and a look at it where one is due."""
    model, source = observed.model, decision.pinned.source
    if model.spec.source.drift_check_interval is None or not _floats(model):
        return replace(decision, checks=() if model.spec.suspend else _without(observed))
    if source is None:
        return decision
    check = Check(_known(model, source))
    is_settled = decision.serves is not None and source.inputs == source_inputs(model)
    if is_settled and decision.findings.blocked is None:
        check = _look(observed, settings, now, source)
    finding = _moved(model, source, check.upstream) or check.finding
    told = {ConditionType.SOURCE_DRIFTED: finding} if finding else {}
    times = [each for each in (decision.check_after, check.check_after) if each is not None]
    return replace(
        decision,
        findings=Findings({**decision.findings.by_type, **told}, decision.findings.blocked, decision.findings.serving),
        checks=check.actions,
        upstream=check.upstream,
        check_after=min(times, default=None),
    )


def _look(observed: Observation, settings: Settings, now: datetime, source: SourceStatus) -> Check:
    model = observed.model
    interval = span_of(model.spec.source.drift_check_interval or "")
    slot = slot_of(model.metadata.uid, int(interval.total_seconds()), now)
    inputs = digest_of({"upstream": upstream_inputs(model, source.commit), "slot": slot.number})
    step = Step(
        name=resolve_job_name(model, inputs),
        inputs=inputs,
        running=Reason.PENDING,
        doing="the source is being asked",
        render=lambda request: render_resolve_job(model, settings, request),
    )
    run = next((job for job in observed.resolve_jobs if job.name == step.name), None)
    known, stale = _known(model, source), _without(observed, step.name)
    if run and run.phase == "Complete" and run.result is None and known:
        return Check(known, actions=stale, check_after=slot.seconds_left)  # its answer is in the status
    waiter = Waiter(owner_of(model), digest_of([model.metadata.generation, observed.secret_version])[:16])
    outcome = advance(step, run, waiter, now)
    pause = slot.seconds_left
    if outcome.check_after is not None:
        pause = min(pause, max(SHORTEST_PAUSE, outcome.check_after))
    commit = outcome.result.get("commit") if outcome.result else None
    if isinstance(commit, str):
        known = UpstreamStatus(inputs=upstream_inputs(model, source.commit), commit=commit)
    trouble = run.trouble_at(now) if run and outcome.result is None else None
    is_stuck = trouble is not None and trouble.reason not in UNDER_WAY
    finding = _unknown(model, trouble.reason, trouble.message) if trouble and is_stuck else None
    if finding is None and outcome.result is None:
        finding = _said_before(model)
    return Check(known, finding, (*stale, *outcome.actions), pause)


def _without(observed: Observation, but: str | None = None) -> tuple[JobAction, ...]:
    uid = observed.model.metadata.uid
    owned = [job for job in observed.resolve_jobs if job.is_owned_by(uid) and not job.deleting]
    return tuple(LeaveJob(job, uid) for job in owned if job.name != but)


def _known(model: EmbeddingModel, source: SourceStatus) -> UpstreamStatus | None:
    """What was found out about this very source beside this very commit."""
    known = model.status.upstream
    return known if known and known.inputs == upstream_inputs(model, source.commit) else None


def _floats(model: EmbeddingModel) -> bool:
    hub = model.spec.source.hugging_face
    return hub is None or COMMIT.fullmatch(hub.revision) is None


def _moved(model: EmbeddingModel, source: SourceStatus, upstream: UpstreamStatus | None) -> Finding | None:
    if upstream is None or upstream.commit == source.commit:
        return None
    words = (
        f"{_named(model)} is {upstream.commit} by now, pinned is {source.commit}: nothing moves until you say so, by "
        f"another value of the annotation embedplane.io/resolve (kubectl annotate em {model.metadata.name} "
        f"embedplane.io/resolve={upstream.commit.rpartition(':')[2][:12]} --overwrite); what serves goes on serving "
        "if that would lead to another vector space"
    )
    return Finding("True", Reason.UPSTREAM_MOVED, words)


def _unknown(model: EmbeddingModel, reason: str, message: str) -> Finding:
    words = f"whether {_named(model)} has moved is not known: {message} The model serves on; it is looked at again."
    return Finding("Unknown", reason, words)


def _said_before(model: EmbeddingModel) -> Finding | None:
    """What a check that failed left unknown stays so while the next one runs."""
    for each in model.status.conditions:
        if each.type == ConditionType.SOURCE_DRIFTED and each.status == "Unknown":
            return Finding(each.status, each.reason, each.message)
    return None


def _named(model: EmbeddingModel) -> str:
    source = model.spec.source
    if source.hugging_face:
        return f"{source.hugging_face.revision} of {source.hugging_face.repo}"
    if source.persistent_volume_claim:
        claim = source.persistent_volume_claim
        return f"the folder {claim.path} of the claim {claim.claim_name}"
    return "the source"
