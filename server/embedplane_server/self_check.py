"""The check that a running server repeats: golden texts through the engine that serves, held against their references.

It never goes ahead of a request (`scheduling/probes.py` has the rule). Each check takes a few texts, others than the
check before. A text that fails is embedded once more at once; when that fails too, the engine has drifted: the server
stops answering, says so, and ends, to be loaded anew from the store.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from embedplane_server.builders.conformance import References, text_nearness
from embedplane_server.model.classifier import Activation
from embedplane_server.scheduling.errors import ShuttingDown
from embedplane_server.scheduling.probes import Probed
from embedplane_server.self_check_metrics import CheckOutcome

logger = logging.getLogger(__name__)

TEXTS = 8
"""So many golden texts are compared each time."""
LONGEST = 256
"""Longer texts are left to the check at start: a request that arrives meanwhile would wait for them."""
PATIENCE_SECONDS = 60.0
"""So long the first text waits for an idle engine, unless checks are closer together, before it rides along."""


@dataclass(frozen=True)
class Checked:
    """A check that passed."""

    at: datetime
    texts: int
    minimum_cosine: float

    @cached_property
    def header(self) -> bytes:
        """The value of `x-embedplane-self-check`; every answer carries it."""
        return f"{self.at:%Y-%m-%dT%H:%M:%SZ};cosine={self.minimum_cosine:.6f}".encode("ascii")


@dataclass(frozen=True, slots=True)
class Proof:
    """What an engine was compared with when it started, and what came of it."""

    references: References
    checked: Checked


@dataclass(frozen=True, slots=True)
class Standard:
    """What passes: how near a text's vector, or its scores, have to be to the reference."""

    floor: float
    activation: Activation | None


@asynccontextmanager
async def repeated(check: "SelfCheck | None", seconds: float) -> AsyncIterator[None]:
    """Check every so many seconds while the block runs; 0 is never."""
    if check is None or not seconds:
        yield
        return
    task = asyncio.create_task(check.run(seconds))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class SelfCheck:
    """Checks an engine from time to time, for as long as `run` runs."""

    def __init__(
        self,
        proof: Proof,
        standard: Standard,
        probe: Callable[..., Awaitable[Probed]],
        note: Callable[[CheckOutcome, float, datetime], None],
        on_drift: Callable[[str], None],
    ) -> None:
        self.last = proof.checked
        self._references = proof.references
        self._standard = standard
        self._probe = probe
        self._note = note
        self._on_drift = on_drift
        self._rounds = 0
        by_length = sorted(range(len(proof.references.token_ids)), key=self._length)
        self._rows = [row for row in by_length if self._length(row) <= LONGEST] or by_length[:1]
        note(CheckOutcome.PASSED, proof.checked.minimum_cosine, proof.checked.at)

    async def run(self, seconds: float) -> None:
        """Check every so many seconds until cancelled, or until the engine has drifted."""
        while True:
            await asyncio.sleep(seconds)
            try:
                if not await self.check(min(seconds, PATIENCE_SECONDS)):
                    return
            except ShuttingDown:
                return
            except Exception:
                # An engine that fails is the scheduler's business, and the next check is due all the same.
                logger.exception("the self-check could not be made")
                self._note(CheckOutcome.FAILED, self.last.minimum_cosine, self.last.at)

    async def check(self, patience_seconds: float) -> bool:
        """Compare the texts whose turn it is; a server that is busy all the time only the first. False: it drifted."""
        outcome, lowest, texts = CheckOutcome.PASSED, 1.0, 0
        for row in self._next_rows():
            alone = texts % 2 == 1
            nearness, rode_along = await self._measure(row, patience_seconds, alone=alone)
            if nearness < self._standard.floor:
                first, outcome = nearness, CheckOutcome.RECOVERED
                nearness, _ = await self._measure(row, 0, alone=alone)
                if nearness < self._standard.floor:
                    self._tell_drift(row, nearness, texts)
                    return False
                logger.warning("a golden text had the cosine %.6f to its reference, then %.6f", first, nearness)
            lowest, texts = min(lowest, nearness), texts + 1
            if rode_along:
                break
        self.last = Checked(datetime.now(UTC), texts, lowest)
        self._note(outcome, lowest, self.last.at)
        logger.debug("self-check: %d texts have a cosine of %.6f at least", texts, lowest)
        return True

    def _next_rows(self) -> list[int]:
        """Return texts of all lengths, the shortest first, since that is the one that may ride along."""
        step = -(-len(self._rows) // TEXTS)
        start = self._rounds % step
        self._rounds += 1
        return self._rows[start::step]

    async def _measure(self, row: int, patience_seconds: float, *, alone: bool) -> tuple[float, bool]:
        probed = await self._probe(self._references.token_ids[row], alone=alone, patience_seconds=patience_seconds)
        found = text_nearness(self._standard.activation, probed.vector[None], self._references.vectors[row][None])
        return float(found[0]), probed.rode_along

    def _tell_drift(self, row: int, nearness: float, passed: int) -> None:
        now = datetime.now(UTC)
        words = (
            f"the engine's vectors have drifted: a golden text of {self._length(row)} tokens has a cosine of "
            f"{nearness:.6f} to its reference, twice, below the floor {self._standard.floor} ({passed} other texts of "
            f"this check passed). The last check that passed was at {self.last.at:%Y-%m-%d %H:%M:%S} UTC: embed again "
            "what was embedded here since"
        )
        logger.error("VectorDrift: %s", words)
        self._note(CheckOutcome.DRIFTED, nearness, now)
        self._on_drift(words)

    def _length(self, row: int) -> int:
        return len(self._references.token_ids[row])
