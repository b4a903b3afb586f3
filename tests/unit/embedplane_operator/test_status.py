"""Conditions: the summary, kstatus, times, and the Events of transitions."""

from datetime import UTC, datetime

import pytest

from embedplane_operator.api.conditions import ConditionType, Reason
from embedplane_operator.api.status import Condition, EmbeddingModelStatus
from embedplane_operator.status import Finding, Findings, Outlook, conditions, met, summarize, transitions

EARLIER = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 11, 0, 0, tzinfo=UTC)
RESOLVED = met(Reason.RESOLVED, "pinned")
BUILDING = Finding("False", Reason.BUILD_RUNNING, "building")
STALLED = Finding("False", "RepositoryNotFound", "no such repository", Outlook.STALLED)
SERVING = met(Reason.SERVING, "the newest spec is served")


def reported(findings: Findings, before: tuple[Condition, ...] = (), now: datetime = EARLIER) -> dict[str, Condition]:
    return {each.type: each for each in conditions(findings, before, 3, now)}


def test_ready_is_the_first_thing_that_is_not_as_wanted() -> None:
    by_type = {ConditionType.SOURCE_RESOLVED: RESOLVED, ConditionType.ENGINE_READY: BUILDING}

    assert summarize(Findings(by_type)).reason == "BuildRunning"


def test_a_failure_counts_before_what_nobody_has_looked_at() -> None:
    unknown = Finding("Unknown", Reason.PENDING, "later")
    by_type = {ConditionType.VECTOR_SPACE_STABLE: unknown, ConditionType.SOURCE_RESOLVED: STALLED}

    assert summarize(Findings(by_type)).reason == "RepositoryNotFound"


def test_ready_is_true_when_all_is_met_and_served() -> None:
    found = reported(Findings({ConditionType.SOURCE_RESOLVED: RESOLVED}, serving=SERVING))

    assert (found["Ready"].status, found["Ready"].reason) == ("True", "Serving")
    assert "Reconciling" not in found
    assert "Stalled" not in found


@pytest.mark.parametrize(
    ("finding", "present", "absent"), [(BUILDING, "Reconciling", "Stalled"), (STALLED, "Stalled", "Reconciling")]
)
def test_reconciling_and_stalled_are_there_only_when_true(finding: Finding, present: str, absent: str) -> None:
    found = reported(Findings({ConditionType.ENGINE_READY: finding}))

    assert found[present].status == "True"
    assert absent not in found


def test_every_condition_carries_the_generation() -> None:
    assert {each.observed_generation for each in reported(Findings(blocked=STALLED)).values()} == {3}


def test_the_time_moves_with_the_status_only() -> None:
    before = conditions(Findings({ConditionType.ENGINE_READY: BUILDING}), (), 3, EARLIER)

    still_false = reported(Findings({ConditionType.ENGINE_READY: STALLED}), before, LATER)
    now_true = reported(Findings({ConditionType.ENGINE_READY: met(Reason.PUBLISHED, "")}), before, LATER)

    assert still_false["EngineReady"].last_transition_time == EARLIER
    assert now_true["EngineReady"].last_transition_time == LATER


def test_a_transition_is_told_once_and_failures_are_warnings() -> None:
    before = EmbeddingModelStatus()
    after = EmbeddingModelStatus(
        conditions=conditions(
            Findings({ConditionType.SOURCE_RESOLVED: STALLED, ConditionType.AVAILABLE: SERVING}), (), 1, EARLIER
        )
    )

    notes = transitions(before, after)

    assert [(note.reason, note.severity) for note in notes] == [
        ("RepositoryNotFound", "Warning"),
        ("Serving", "Normal"),
    ]
    assert transitions(after, after) == []
