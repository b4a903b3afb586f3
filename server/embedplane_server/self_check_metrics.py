"""What self-checks came to, for Prometheus. Every series exists from the start."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge


class CheckOutcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    RECOVERED = "recovered"
    """A text failed, and passed when it was embedded once more."""
    DRIFTED = "drifted"
    """A text failed twice: the server stops answering."""
    FAILED = "failed"
    """The engine did not embed the text at all."""


class SelfCheckMetrics:
    """Counts checks."""

    def __init__(self, registry: CollectorRegistry, labels: Mapping[str, str]) -> None:
        checks = Counter(
            "embedplane_self_checks",
            "Checks of golden texts, at start included",
            [*labels, "outcome"],
            registry=registry,
        )
        self._checks = {outcome: checks.labels(**labels, outcome=outcome.value) for outcome in CheckOutcome}
        self._cosine = Gauge(
            "embedplane_self_check_minimum_cosine",
            "Lowest cosine to a reference in the last check",
            list(labels),
            registry=registry,
        ).labels(**labels)
        self._at = Gauge(
            "embedplane_self_check_timestamp_seconds", "When the last check ended", list(labels), registry=registry
        ).labels(**labels)

    def note(self, outcome: CheckOutcome, minimum_cosine: float, at: datetime) -> None:
        """Count a check."""
        self._checks[outcome].inc()
        self._cosine.set(minimum_cosine)
        self._at.set(at.timestamp())
