"""What the scheduler tells of its work, so that it need not know how that is measured. `metrics.py` listens.

Each admitted token ends in exactly one outcome, once. Methods are called from the event loop's and the engine's thread.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """What became of admitted inputs."""

    SUCCESS = "success"
    """Computed by the engine."""
    FAILED = "failed"
    """In a batch that failed, or dropped because another input of its request was."""
    CANCELLED = "cancelled"
    """Dropped before they started: the client left, or the time was up."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """One call of the engine."""

    tokens: int
    padding_tokens: int
    inputs: int
    seconds: float
    """Of the engine's time; where batches ran side by side, the part that no other batch has counted."""
    outcome: Outcome


class Observer(Protocol):
    """Listens to a scheduler."""

    def admitted(self, tokens: int) -> None:
        """A request entered the queue."""
        ...

    def overloaded(self, tokens: int) -> None:
        """A request was refused because the queue is full."""
        ...

    def batch(self, report: BatchReport) -> None:
        """The engine was called."""
        ...

    def dropped(self, tokens: int, inputs: int, outcome: Outcome) -> None:
        """Waiting inputs left the queue without a batch."""
        ...
