"""What Prometheus knows about one vector space of one model at one moment: numbers, or that they are missing.

`demand.py` makes these of samples, `policy.py` decides by them. There is no third state: no data is never zero.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Observation:
    """Sums over all pods. Every number was measured."""

    admitted: float
    """Tokens admitted per second."""
    rejected: float
    """Tokens per second that were turned away because the queue was full."""
    interactive_queue: float
    bulk_queue: float
    """Tokens waiting in the two lanes, averaged over two scrapes."""
    tokens: float
    """Tokens computed per second."""
    busy_replicas: float
    """Seconds of computing per second: 2.5 means that 2.5 replicas' worth of engines are at work."""
    series: int
    """How many pods each number covers; the least of all numbers."""

    @property
    def queued(self) -> float:
        """Tokens waiting in both lanes."""
        return self.interactive_queue + self.bulk_queue

    @property
    def is_idle(self) -> bool:
        """True if no request came, waited or was answered; an engine that only checks itself is idle."""
        return not any((self.admitted, self.rejected, self.queued, self.tokens))

    @property
    def tokens_per_busy_second(self) -> float:
        """What one engine does in a second of work; 0 if none worked."""
        return self.tokens / self.busy_replicas if self.busy_replicas > 0 else 0.0


@dataclass(frozen=True)
class Missing:
    """Why there is no observation: the condition's reason, and what to do."""

    reason: str
    message: str
