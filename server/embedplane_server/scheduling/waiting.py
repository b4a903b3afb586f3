"""The inputs that wait: which go into the next batch. Pure: no lock, no clock, no thread.

Within a lane every input is due when its request would come to it if it had the engine to itself, reckoned in whole
batches. The most overdue input starts the next batch, so large requests take turns and nothing starves: whatever
arrives later is due later. Requests of a batch or less go one after the other: were they to share each batch, all
would end at the same moment, and the engine would be idle while their clients come back.

The batch is filled with inputs of about the same length, so that little padding is computed. Where an engine lays
short inputs into rows one after the other, a batch of them is as many whole rows as the budget has.

While batches run side by side the next one takes no more than makes it as large as they are, and no row that is not
full. Whoever took all would leave the next thread a crumb, and small batches cost far more a token.
"""

from bisect import bisect_left, insort
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf

from embedplane_server.scheduling.work import Lane, Unit, Work

MAX_SPREAD_SECONDS = 10.0
"""No input is due later than this after its arrival, however large its request."""
LENGTH_STEP, FINE_LENGTH_STEP, FINE_UNTIL = 8, 2, 32
"""Lengths that differ by less than a step are the same here: engines pad to such steps themselves."""
BATCH_OVERHEAD_TOKENS = 64
"""What starting a batch costs, in tokens that could be computed instead."""
MOST_ENDED = 10_000
"""So many inputs of requests that ended may stay in line; they are dropped when their turn comes."""
INTERACTIVE_BATCHES_PER_BULK_BATCH = 3
"""While both lanes wait, bulk work gets every fourth batch."""


class WaitingLane:
    """The waiting inputs of one lane, by length (rounded up to a step) and due time."""

    def __init__(self, max_tokens: int, row_tokens: int | None = None) -> None:
        self._max_tokens = max_tokens
        self._row = row_tokens or 0
        self._shortest_padded = self._row // 2 + 1
        self._by_length: dict[int, list[tuple[float, int, Unit]]] = {}
        self._lengths: list[int] = []
        self._sequence = count()

    def add(self, work: Work, tokens_per_second: float) -> None:
        """Take in all inputs of a request."""
        before = 0
        for index, ids in enumerate(work.token_ids):
            batches_before = before // self._max_tokens
            due = work.arrived + min(batches_before * self._max_tokens / tokens_per_second, MAX_SPREAD_SECONDS)
            heappush(self._at(self._stepped(len(ids))), (due, next(self._sequence), Unit(work, index)))
            before += len(ids)

    def __bool__(self) -> bool:
        return bool(self._lengths)

    def __len__(self) -> int:
        """Return how many inputs are in line, those of requests that ended included."""
        return sum(map(len, self._by_length.values()))

    def sweep(self) -> None:
        """Drop all inputs of requests that ended."""
        alive = {
            length: [each for each in waiting if not each[2].work.ended] for length, waiting in self._by_length.items()
        }
        self._by_length = {length: waiting for length, waiting in alive.items() if waiting}
        for waiting in self._by_length.values():
            heapify(waiting)
        self._lengths = sorted(self._by_length)

    def take(self, share: int | None = None) -> list[Unit]:
        """Remove and return the next batch: at most `max_tokens` with padding, but at least one input.

        One beside others has its `share` of tokens at most, and no row that is not full.
        """
        start = self._most_overdue()
        if start is None:
            return []
        if start < self._shortest_padded and self._row <= self._max_tokens:
            return self._rows(start, self._full_rows(share))
        limit = self._max_tokens if share is None else min(self._max_tokens, share)
        taken = [self._pop(start)]
        longest = tokens = start
        while (length := self._next_length(longest, tokens, len(taken), limit)) is not None:
            taken.append(self._pop(length))
            longest, tokens = max(longest, length), tokens + length
        return taken

    def _full_rows(self, share: int | None) -> int:
        """Return how many rows the next batch may have at most; what is left over waits for the batch after it."""
        most = self._max_tokens // self._row
        if share is None:
            return most
        waiting = sum(
            length * len(self._by_length[length]) for length in self._lengths if length < self._shortest_padded
        )
        return max(min(most, share // self._row, waiting // self._row), 1)

    def _rows(self, start: int, rows: int) -> list[Unit]:
        """Remove and return short inputs that fill so many rows, one row after the other."""
        taken: list[Unit] = []
        for _ in range(rows):
            room = self._row
            length = start if not taken else self._most_overdue(self._shortest_padded)
            while length is not None:
                taken.append(self._pop(length))
                room -= length
                length = self._next_in_row(room)
        return taken

    def _next_in_row(self, room: int) -> int | None:
        """Return the most overdue length while there is much room, then those that fill it, None when none fits."""
        fitting = self._lengths[: bisect_left(self._lengths, min(room + 1, self._shortest_padded))]
        if not fitting:
            return None
        if room > 2 * fitting[-1]:
            return self._most_overdue(self._shortest_padded)
        return next((length for length in reversed(fitting) if self._fills(room, length)), fitting[-1])

    def _fills(self, room: int, length: int) -> bool:
        """Tell whether an input of this length fills the room, alone or with one other."""
        rest = room - length
        return rest == 0 or (rest in self._by_length and (rest != length or len(self._by_length[rest]) > 1))

    def _at(self, length: int) -> list[tuple[float, int, Unit]]:
        if length not in self._by_length:
            self._by_length[length] = []
            insort(self._lengths, length)
        return self._by_length[length]

    def _pop(self, length: int) -> Unit:
        unit = heappop(self._by_length[length])[2]
        self._tidy(length)
        return unit

    def _tidy(self, length: int) -> bool:
        """Drop what ended meanwhile from the front of a length; return whether anything is left there."""
        heap = self._by_length[length]
        while heap and heap[0][2].work.ended:
            heappop(heap)
        if not heap:
            del self._by_length[length]
            del self._lengths[bisect_left(self._lengths, length)]
        return bool(heap)

    def _most_overdue(self, below: float = inf) -> int | None:
        alive = [length for length in list(self._lengths) if length < below and self._tidy(length)]
        return min(alive, key=lambda length: self._by_length[length][0][:2], default=None)

    def _next_length(self, longest: int, tokens: int, inputs: int, limit: int) -> int | None:
        """Return the waiting length that adds least padding, None when any would make the batch worth less."""
        position = bisect_left(self._lengths, longest)
        around = self._lengths[max(position - 1, 0) : position + 1]
        for length in sorted(around, key=lambda length: max(length - longest, 0) * inputs + max(longest - length, 0)):
            padded = max(longest, length) * (inputs + 1)
            share_now = tokens / (longest * inputs + BATCH_OVERHEAD_TOKENS)
            if padded <= limit and (tokens + length) / (padded + BATCH_OVERHEAD_TOKENS) >= share_now:
                return length
        return None

    def _stepped(self, length: int) -> int:
        if length < self._shortest_padded:
            return length
        step = FINE_LENGTH_STEP if length <= FINE_UNTIL else LENGTH_STEP
        return -(-length // step) * step


class Waiting:
    """Both lanes, for batches of `max_tokens`. Interactive inputs go first; bulk inputs keep a share of the batches."""

    def __init__(self, max_tokens: int, row_tokens: int | None = None) -> None:
        self._max_tokens = max_tokens
        self._row_tokens = row_tokens
        self.clear()
        self._interactive_in_a_row = 0

    def add(self, work: Work, tokens_per_second: float) -> None:
        """Take in all inputs of a request."""
        self._lanes[work.lane].add(work, tokens_per_second)

    def __len__(self) -> int:
        """Return how many inputs are in line, those of requests that ended included."""
        return sum(map(len, self._lanes.values()))

    def sweep(self, alive: int) -> None:
        """Drop the inputs of requests that ended once they outnumber the `alive` ones."""
        if len(self) > 2 * alive + MOST_ENDED:
            for lane in self._lanes.values():
                lane.sweep()

    def clear(self) -> None:
        """Forget what ended before its turn came; called when nothing else waits."""
        self._lanes = {lane: WaitingLane(self._max_tokens, self._row_tokens) for lane in Lane}

    def take(self, share: int | None = None) -> list[Unit]:
        """Remove and return the next batch, of `share` tokens if others run; empty when nothing waits."""
        order = [Lane.INTERACTIVE, Lane.BULK]
        if self._interactive_in_a_row >= INTERACTIVE_BATCHES_PER_BULK_BATCH:
            order.reverse()
        for lane in order:
            if units := self._lanes[lane].take(share):
                passed_over = lane is Lane.INTERACTIVE and bool(self._lanes[Lane.BULK])
                self._interactive_in_a_row = self._interactive_in_a_row + 1 if passed_over else 0
                return units
        return []
