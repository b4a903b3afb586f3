"""One admitted request as the queue and the engine thread see it. The unit of work is an input, not a request.

`Work` is mutable and shared by two threads; only `scheduler.py` changes it, under its lock.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

import numpy as np

from embedplane_server.engines.base import Vectors


class Lane(StrEnum):
    """Who waits together: people wait for `interactive`, programs for `bulk`."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Embedded:
    """A request's vectors, in the order of its inputs or of their tokens, and how long it waited and ran."""

    vectors: Vectors
    queue_seconds: float
    inference_seconds: float


class Work:
    """The inputs of one request, what of them still waits, and the vectors that came back so far."""

    __slots__ = (
        "arrived",
        "ended",
        "every_token",
        "future",
        "lane",
        "started",
        "starts",
        "token_ids",
        "tokens",
        "unfinished",
        "vectors",
        "waiting_inputs",
        "waiting_tokens",
    )

    def __init__(
        self,
        token_ids: Sequence[Sequence[int]],
        lane: Lane,
        arrived: float,
        future: asyncio.Future[Embedded],
        *,
        every_token: bool = False,
    ) -> None:
        self.token_ids = token_ids
        self.every_token = every_token
        self.lane = lane
        self.arrived = arrived
        self.future = future
        self.tokens = sum(map(len, token_ids))
        self.waiting_tokens = self.tokens
        self.waiting_inputs = self.unfinished = len(token_ids)
        self.started: float | None = None
        self.ended = False
        self.vectors: Vectors | None = None
        # Where the rows of each input begin: it has one, or one for each token.
        self.starts = list(accumulate(map(len, token_ids), initial=0)) if every_token else range(len(token_ids) + 1)

    def keep(self, index: int, rows: Vectors) -> None:
        """Keep the vector of one input, or those of its tokens."""
        if self.vectors is None:
            self.vectors = np.empty((self.starts[-1], rows.shape[-1]), dtype=np.float32)
        self.vectors[self.starts[index] : self.starts[index + 1]] = rows
        self.unfinished -= 1

    def end(self) -> None:
        """Let go of what it holds: its inputs may stay in line for a while."""
        self.ended = True
        self.token_ids = ()


@dataclass(frozen=True, slots=True)
class Unit:
    """One input of a request."""

    work: Work
    index: int

    @property
    def token_ids(self) -> Sequence[int]:
        return self.work.token_ids[self.index]
