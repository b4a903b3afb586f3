"""Which accelerator profile of its list a model is on, and when the next one is tried. Pure.

The record of it is the status; where that is lost, the annotation of a Job or a Deployment. A profile is given up
only while no server is ready, so that what serves is never moved. Giving up is recorded before anything is done about
it: wherever the operator ends, the next one goes on from there.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from embedplane_operator.api.accelerator import Accelerator, AcceleratorStatus, read_accelerator
from embedplane_operator.api.durations import span_of
from embedplane_operator.decide.acceptance import unknown_accelerator
from embedplane_operator.decide.decision import Decision
from embedplane_operator.decide.spaces import belongs_to
from embedplane_operator.no_room import NoRoom
from embedplane_operator.observation import Observation
from embedplane_operator.render.inputs import accelerator_inputs
from embedplane_operator.settings import Settings
from embedplane_operator.status import Finding, Findings

FIRST = "the first that spec.accelerator names"
AT_ONCE = 0.1
REASON_LIMIT = 1000


def on_profile(observed: Observation, settings: Settings, now: datetime) -> Observation:
    """The same, with the model as if it had named only the profile in use; its status has the record of that."""
    model, accelerator = observed.model, observed.model.spec.accelerator
    if model.spec.suspend or unknown_accelerator(model, settings):
        return observed
    chosen = None
    if accelerator:
        first = accelerator.in_order[0]
        chosen = _recorded(observed, accelerator) or _choice(accelerator, first, FIRST, now)
        accelerator = accelerator.on(chosen.profile)
    spec = model.spec.model_copy(update={"accelerator": accelerator})
    status = model.status.model_copy(update={"accelerator": chosen})
    return replace(observed, model=model.model_copy(update={"spec": spec, "status": status}))


def with_fallback(decision: Decision, observed: Observation, now: datetime) -> Decision:
    """The decision, or the one to try the next profile; `observed` has the model as the user wrote it."""
    accelerator, chosen, no_room = observed.model.spec.accelerator, decision.accelerator, decision.no_room
    if accelerator is None or chosen is None or no_room is None or len(accelerator.in_order) == 1:
        return decision
    if _serves(observed):
        return decision
    due = max(no_room.since, chosen.since) + span_of(accelerator.fallback_after)
    following = accelerator.after(chosen.profile)
    if following is None:
        tried = ", ".join(accelerator.in_order)
        words = f"{chosen.profile} is the last of spec.accelerator.profiles ({tried}) and stays: make room, or add one"
        return _told(decision, no_room, words)
    if now < due:
        words = f"{following} is tried if {chosen.profile} has no room until {due:%Y-%m-%d %H:%M:%S} UTC"
        return _told(decision, no_room, words)
    reason = f"{chosen.profile} had no room for {accelerator.fallback_after}: {no_room.message}"
    return _recording(decision, _choice(accelerator, following, reason[:REASON_LIMIT], now))


def _recorded(observed: Observation, accelerator: Accelerator) -> AcceleratorStatus | None:
    """What was chosen before for these very wishes; of what is read back from objects, what is last in the list."""

    def counts(record: AcceleratorStatus) -> bool:
        is_listed = record.profile in accelerator.in_order
        return is_listed and record.inputs == accelerator_inputs(accelerator, record.profile)

    if (known := observed.model.status.accelerator) and counts(known):
        return known
    found = filter(counts, _annotated(observed))
    return max(found, key=lambda record: accelerator.in_order.index(record.profile), default=None)


def _annotated(observed: Observation) -> Iterator[AcceleratorStatus]:
    for deployment in observed.deployments:
        record = read_accelerator(deployment["metadata"].get("annotations") or {})
        if record and belongs_to(deployment, observed.model):
            yield record
    for job in observed.jobs:
        if job.accelerator and job.is_owned_by(observed.model.metadata.uid):
            yield job.accelerator


def _choice(accelerator: Accelerator, profile: str, reason: str, now: datetime) -> AcceleratorStatus:
    inputs = accelerator_inputs(accelerator, profile)
    return AcceleratorStatus(inputs=inputs, profile=profile, since=now, reason=reason)


def _serves(observed: Observation) -> bool:
    """True while any server of the model takes requests, of whichever space and profile."""
    own = (each for each in observed.deployments if belongs_to(each, observed.model))
    return any((each.get("status") or {}).get("readyReplicas") for each in own)


def _recording(decision: Decision, chosen: AcceleratorStatus) -> Decision:
    """The decision to write that down, and nothing else."""
    return replace(
        decision,
        shared=(),
        claim=None,
        apply=(),
        jobs=(),
        checks=(),
        delete=(),
        marks=(),
        accelerator=chosen,
        check_after=AT_ONCE,
    )


def _told(decision: Decision, no_room: NoRoom, words: str) -> Decision:
    """The decision with a word about the next profile behind each word about the want of room."""

    def more(finding: Finding) -> Finding:
        is_it = not finding.is_met and finding.message == no_room.message
        return replace(finding, message=f"{finding.message}; {words}") if is_it else finding

    told = decision.findings
    by_type = {kind: more(finding) for kind, finding in told.by_type.items()}
    return replace(decision, findings=Findings(by_type, told.blocked, told.serving and more(told.serving)))
