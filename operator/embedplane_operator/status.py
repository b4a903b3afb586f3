"""From what was found to what is reported: the conditions, their summary `Ready`, and the Events of transitions. Pure.

A `Finding` is one fact with its reason; which findings there are is decided in `decide/`. `Ready`, `Reconciling` and
`Stalled` are computed here and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Literal

from embedplane_operator.api.conditions import ConditionType, Reason
from embedplane_operator.api.status import Condition, EmbeddingModelStatus
from embedplane_operator.troubles import Trouble

Status = Literal["True", "False", "Unknown"]
MESSAGE_LIMIT = 4096


class Outlook(Enum):
    """What happens next to something that is not as wanted."""

    WORKING = "Working"  # it is being done, or tried again by itself
    STALLED = "Stalled"  # a person has to change something
    RESTING = "Resting"  # nothing is done, on purpose


@dataclass(frozen=True)
class Finding:
    """One fact about the model."""

    status: Status
    reason: str
    message: str
    outlook: Outlook = Outlook.WORKING

    @property
    def is_met(self) -> bool:
        """True when this is as wanted."""
        return self.status == "True"


@dataclass(frozen=True)
class Note:
    """What happened, in the words of a condition: what an Event says."""

    reason: str
    message: str
    severity: Literal["Normal", "Warning"] = "Normal"


def met(reason: Reason, message: str) -> Finding:
    """A fact that is as wanted."""
    return Finding("True", reason, message)


def unmet(trouble: Trouble) -> Finding:
    """A fact that is not as wanted, with the reason of what is in its way."""
    outlook = Outlook.WORKING if trouble.transient else Outlook.STALLED
    return Finding("False", trouble.reason, trouble.message, outlook)


@dataclass(frozen=True)
class Findings:
    """Everything that is known about one model."""

    by_type: Mapping[ConditionType, Finding] = field(default_factory=dict)
    blocked: Finding | None = None
    """What keeps the newest spec from being acted on at all; it comes first in `Ready`."""
    serving: Finding | None = None
    """Whether the newest spec is what is served, once everything else is met."""


SUMMARY_ORDER = (
    ConditionType.VECTOR_SPACE_STABLE,
    ConditionType.SOURCE_RESOLVED,
    ConditionType.ENGINE_READY,
    ConditionType.AVAILABLE,
)
CONDITION_ORDER = (
    ConditionType.READY,
    ConditionType.RECONCILING,
    ConditionType.STALLED,
    ConditionType.SOURCE_RESOLVED,
    ConditionType.DESCRIPTION_INCOMPLETE,
    ConditionType.ENGINE_READY,
    ConditionType.VECTOR_SPACE_STABLE,
    ConditionType.SOURCE_DRIFTED,
    ConditionType.AVAILABLE,
    ConditionType.VECTOR_DRIFT,
    ConditionType.SCALING_ACTIVE,
)


def summarize(findings: Findings) -> Finding:
    """What `Ready` says: what blocks, else the first thing that is not as wanted, else whether the spec is served."""
    if findings.blocked:
        return findings.blocked
    # False before Unknown: a failure says more than what nobody has looked at yet
    relevant = [findings.by_type[kind] for kind in SUMMARY_ORDER if kind in findings.by_type]
    for status in ("False", "Unknown"):
        for finding in relevant:
            if finding.status == status:
                return Finding("False", finding.reason, finding.message, finding.outlook)
    return findings.serving or Finding("False", Reason.PENDING, "not looked at yet")


def conditions(
    findings: Findings, before: Sequence[Condition], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The full list of conditions, in a fixed order; times move only with the status."""
    ready = summarize(findings)
    reported = {**findings.by_type, ConditionType.READY: ready}
    if not ready.is_met and ready.outlook is Outlook.STALLED:
        reported[ConditionType.STALLED] = Finding("True", ready.reason, ready.message)
    elif not ready.is_met and ready.outlook is Outlook.WORKING:
        reported[ConditionType.RECONCILING] = Finding("True", ready.reason, ready.message)
    known = {condition.type: condition for condition in before}
    return tuple(
        _condition(kind, reported[kind], known.get(kind), generation, now)
        for kind in CONDITION_ORDER
        if kind in reported
    )


def _condition(
    kind: ConditionType, finding: Finding, before: Condition | None, generation: int, now: datetime
) -> Condition:
    unchanged = before is not None and before.status == finding.status
    return Condition(
        type=kind,
        status=finding.status,
        observed_generation=generation,
        last_transition_time=before.last_transition_time if before and unchanged else now,
        reason=finding.reason,
        message=finding.message[:MESSAGE_LIMIT],
    )


ABNORMAL_TYPES = frozenset({ConditionType.VECTOR_DRIFT, ConditionType.DESCRIPTION_INCOMPLETE})
"""Bad news when True."""
QUIET_TYPES = frozenset({ConditionType.RECONCILING, ConditionType.STALLED})
QUIET_REASONS = frozenset({Reason.PENDING, Reason.NOT_SERVING, Reason.UNCHANGED})


def transitions(before: EmbeddingModelStatus, after: EmbeddingModelStatus) -> list[Note]:
    """What changed between two reports, each thing told once, in the words of its condition."""
    known = {condition.type: condition for condition in before.conditions}
    notes: dict[tuple[str, str], Note] = {}
    if before.accelerator and after.accelerator and before.accelerator.profile != after.accelerator.profile:
        words = f"{after.accelerator.profile} is in use from now on: {after.accelerator.reason}"
        notes[Reason.ACCELERATOR_CHOSEN, words] = Note(Reason.ACCELERATOR_CHOSEN, words)
    for condition in after.conditions:
        previous = known.get(condition.type)
        is_news = previous is None or (previous.status, previous.reason) != (condition.status, condition.reason)
        if condition.type in QUIET_TYPES or condition.reason in QUIET_REASONS or not is_news:
            continue
        bad = "True" if condition.type in ABNORMAL_TYPES else "False"
        is_warning = condition.status == bad and condition.reason not in _NORMAL_STEPS
        note = Note(condition.reason, condition.message, "Warning" if is_warning else "Normal")
        notes.setdefault((note.reason, note.message), note)
    return list(notes.values())


_NORMAL_STEPS = frozenset(
    {
        Reason.FETCH_RUNNING,
        Reason.EXPORT_RUNNING,
        Reason.BUILD_WAITING,
        Reason.BUILD_RUNNING,
        Reason.ROLLOUT_RUNNING,
        Reason.NODE_PROVISIONING,
        Reason.IMAGE_PULLING,
        Reason.CUTOVER_WAITING,
        Reason.CANDIDATE_WAITING,
        Reason.SUSPENDED,
        Reason.SCALING_PAUSED,
        Reason.SCALING_DISABLED,
        Reason.SCALING_FIXED,
    }
)
