"""Whether the engine still works, judged by its last batches: what `/health/live` is about.

One bad batch is not a bad engine: after a failure the scheduler tries an input that worked before.
"""

from collections.abc import Sequence

MAX_FAILURES = 3
"""So many failures in a row, with an input that worked before failing as well, and the engine is taken for broken."""


class EngineHealth:
    """Written by the engine's threads, each under a number of its own, read by the event loop."""

    def __init__(self, max_batch_seconds: float) -> None:
        self._max_batch_seconds = max_batch_seconds
        self._running: dict[int, float] = {}
        self._failures = 0
        self.known_good: Sequence[int] | None = None

    def batch_started(self, thread: int, now: float) -> None:
        """Note that the engine is at work."""
        self._running[thread] = now

    def batch_succeeded(self, thread: int, example: Sequence[int]) -> None:
        """Note that the engine works; `example` is an input that it has just embedded."""
        self._running.pop(thread)
        self._failures = 0
        self.known_good = example

    def batch_failed(self, thread: int, *, probe_works: bool) -> None:
        """Note a failure, and whether an input that worked before still does."""
        self._running.pop(thread)
        self._failures = 0 if probe_works else self._failures + 1

    def problem(self, now: float) -> str | None:
        """Return what is wrong, or None."""
        since = min(list(self._running.values()), default=now)
        if now - since > self._max_batch_seconds:
            return f"one batch has been running for {now - since:.0f} seconds"
        if self._failures >= MAX_FAILURES:
            return f"the last {self._failures} batches failed"
        return None
