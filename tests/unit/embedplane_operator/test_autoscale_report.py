"""Reports are kept for the reconciler, and numbers alone do not make it write at every tick."""

from dataclasses import replace

from embedplane_operator.autoscale.report import ScalingReport, ScalingReports
from embedplane_operator.workqueue import Key

KEY = Key("search", "minilm")
REPORT = ScalingReport(3, "AsDemanded", "as it is", True, queued_tokens=10)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_report_is_news() -> None:
    reports = ScalingReports()
    assert reports.get(KEY) is None
    assert reports.set(KEY, REPORT)
    assert reports.get(KEY) == REPORT


def test_another_number_is_news_after_a_minute_only() -> None:
    clock = Clock()
    reports = ScalingReports(clock)
    reports.set(KEY, REPORT)
    clock.now = 59
    assert not reports.set(KEY, replace(REPORT, queued_tokens=11))
    assert reports.get(KEY) == REPORT
    clock.now = 60
    assert reports.set(KEY, replace(REPORT, queued_tokens=12))
    assert reports.get(KEY) == replace(REPORT, queued_tokens=12)


def test_another_decision_is_news_at_once() -> None:
    reports = ScalingReports(Clock())
    reports.set(KEY, REPORT)
    for report in (
        replace(REPORT, desired_replicas=4),
        replace(REPORT, reason="AtMaximum"),
        replace(REPORT, active=False),
    ):
        assert reports.set(KEY, report)
        assert reports.get(KEY) == report


def test_the_same_report_is_never_news() -> None:
    clock = Clock()
    reports = ScalingReports(clock)
    reports.set(KEY, REPORT)
    clock.now = 1000
    assert not reports.set(KEY, REPORT)


def test_a_forgotten_model_has_no_report() -> None:
    reports = ScalingReports()
    reports.set(KEY, REPORT)
    reports.forget(KEY)
    reports.forget(KEY)
    assert reports.get(KEY) is None
    assert reports.keys() == frozenset()
