"""What the autoscaler last said about each model, for the reconciler to put into status.

Memory only: the autoscale loop writes, `reconcile` reads, and nothing here talks to the cluster. Numbers that move a
little at every tick are held back for a minute, so that a busy model does not cost a status write every 15 seconds.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from embedplane_operator.workqueue import Key

QUIET_SECONDS = 60.0


@dataclass(frozen=True)
class ScalingReport:
    """One decision about one model; `active` is the status of the condition ScalingActive. None: not known."""

    desired_replicas: int
    reason: str
    message: str
    active: bool
    queued_tokens: int | None = None
    arriving_tokens_per_second: int | None = None
    capacity_tokens_per_second: int | None = None
    last_scale_time: datetime | None = None

    def says_the_same_as(self, other: "ScalingReport") -> bool:
        """True if the two differ in measured numbers only."""
        return (self.desired_replicas, self.reason, self.active, self.last_scale_time) == (
            other.desired_replicas,
            other.reason,
            other.active,
            other.last_scale_time,
        )


class ScalingReports:
    """The newest report worth showing, by model."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reports: dict[Key, tuple[ScalingReport, float]] = {}

    def set(self, key: Key, report: ScalingReport) -> bool:
        """Keep the report; False if the one before still says it well enough and was kept instead."""
        now = self._clock()
        if key in self._reports:
            before, since = self._reports[key]
            if report == before or (report.says_the_same_as(before) and now - since < QUIET_SECONDS):
                return False
        self._reports[key] = (report, now)
        return True

    def get(self, key: Key) -> ScalingReport | None:
        """Return the report about a model, or None before the first tick that saw it."""
        entry = self._reports.get(key)
        return entry[0] if entry else None

    def forget(self, key: Key) -> None:
        """Drop what was said about a model that is gone."""
        self._reports.pop(key, None)

    def keys(self) -> frozenset[Key]:
        """Every model with a report."""
        return frozenset(self._reports)
