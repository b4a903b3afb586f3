"""Models that are not acted on, because they are suspended or refused: what serves goes on, and is reported. Pure."""

from dataclasses import replace

from embedplane_operator.api.conditions import ConditionType, Reason
from embedplane_operator.decide.decision import Decision
from embedplane_operator.decide.resolution import pinned_before
from embedplane_operator.decide.serving import availability, servers_of
from embedplane_operator.decide.spaces import Live, Spaces
from embedplane_operator.observation import Observation
from embedplane_operator.status import Finding, Findings, Outlook

LOOK_AGAIN_BLOCKED = 15.0
KEPT = (
    ConditionType.SOURCE_RESOLVED,
    ConditionType.DESCRIPTION_INCOMPLETE,
    ConditionType.ENGINE_READY,
    ConditionType.VECTOR_SPACE_STABLE,
)


def suspended(observed: Observation, spaces: Spaces) -> Decision:
    """Everything stays as it was said last; only availability is looked at."""
    known = {condition.type: condition for condition in observed.model.status.conditions}
    kept = {
        kind: Finding(known[kind].status, known[kind].reason, known[kind].message) for kind in KEPT if kind in known
    }
    available = availability(servers_of(observed, name_of(spaces.active)))
    words = "spec.suspend is true: what runs goes on, and nothing is changed until it is false"
    ready = Finding(available.status, Reason.SUSPENDED, words, Outlook.RESTING)
    return _only_reported(observed, spaces, Findings({**kept, ConditionType.AVAILABLE: available}, blocked=ready))


def blocked_by(observed: Observation, spaces: Spaces, blocked: Finding) -> Decision:
    """What cannot be acted on is reported, and looked at again: what is in its way may be nobody's event."""
    available = availability(servers_of(observed, name_of(spaces.active)))
    decision = _only_reported(observed, spaces, Findings({ConditionType.AVAILABLE: available}, blocked=blocked))
    return replace(decision, check_after=LOOK_AGAIN_BLOCKED)


def _only_reported(observed: Observation, spaces: Spaces, findings: Findings) -> Decision:
    status = observed.model.status
    return Decision(
        findings=findings,
        pinned=pinned_before(observed.model, spaces.active),
        shared_jobs=observed.shared_jobs,
        spaces=status.vector_spaces,
        candidate=status.candidate,
        accelerator=status.accelerator,
        serves=name_of(spaces.active),
    )


def name_of(live: Live | None) -> str | None:
    """The name of a Deployment, if there is one."""
    return live.name if live else None
