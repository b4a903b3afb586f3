"""What may enter the queue: by tokens, because tokens are what the engine's time goes to.

The counts of what waits are the scheduler's; this module only judges them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from embedplane_server.scheduling.errors import NeverFits, Overloaded
from embedplane_server.scheduling.work import Lane

BULK_SHARE = 0.9
"""How much of the queue bulk work may fill; the rest stays free for interactive requests."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the queue and of one batch."""

    max_batch_tokens: int
    max_queued_tokens: int
    max_interactive_inputs: int = 8
    """A request with more inputs, or with more tokens than one batch, is bulk."""
    max_batch_seconds: float = 300.0
    """A batch that runs longer is taken for a hung engine."""

    def lane(self, token_ids: Sequence[Sequence[int]], tokens: int) -> Lane:
        """Return the lane of a request."""
        small = len(token_ids) <= self.max_interactive_inputs and tokens <= self.max_batch_tokens
        return Lane.INTERACTIVE if small else Lane.BULK


@dataclass(slots=True)
class Queued:
    """What waits in one lane."""

    tokens: int = 0
    inputs: int = 0


class Running:
    """The batches that run, and the seconds in which any did: those that run side by side count once."""

    def __init__(self) -> None:
        self.batches = 0
        self._tokens = 0
        self._counted_until = 0.0

    def begin(self, now: float, tokens: int) -> None:
        """Note that a batch starts."""
        if not self.batches:
            self._counted_until = now
        self.batches += 1
        self._tokens += tokens

    def end(self, now: float, tokens: int) -> float:
        """Note that a batch has ended; return the seconds that were not counted yet."""
        seconds, self._counted_until = now - self._counted_until, now
        self.batches -= 1
        self._tokens -= tokens
        return seconds

    def share(self, queued_tokens: int, side_by_side: int) -> int | None:
        """Return the tokens of a next batch as large as those beside it; None while there is none beside it."""
        return -(-(queued_tokens + self._tokens) // side_by_side) if self.batches else None


class Throughput:
    """Tokens a busy second of the engine is worth: measured, forgetting with a half-life of ten busy seconds."""

    def __init__(self, expected: float) -> None:
        self._tokens = expected
        self._seconds = 1.0

    def add(self, tokens: int, seconds: float) -> None:
        """Count a batch."""
        remaining = 0.5 ** (seconds / 10)
        self._tokens = self._tokens * remaining + tokens
        self._seconds = self._seconds * remaining + seconds

    @property
    def tokens_per_second(self) -> float:
        return max(self._tokens / self._seconds, 1.0)


def admit(tokens: int, lane: Lane, queued: dict[Lane, Queued], limits: Limits, tokens_per_second: float) -> None:
    """Raise `NeverFits` or `Overloaded` unless a request of `tokens` may enter the queue now."""
    if tokens > limits.max_queued_tokens:
        raise NeverFits(tokens, limits.max_queued_tokens)
    waiting = sum(each.tokens for each in queued.values())
    excess = waiting + tokens - limits.max_queued_tokens
    bulk = queued[Lane.BULK].tokens
    if lane is Lane.BULK and bulk:
        excess = max(excess, int(bulk + tokens - BULK_SHARE * limits.max_queued_tokens))
    if excess > 0:
        raise Overloaded(waiting, min(excess, waiting) / tokens_per_second)
