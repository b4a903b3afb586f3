"""What leaves the queue together, as a batch for the engine, and whose row of the answer is whose. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from embedplane_server.engines.base import Batch, Vectors
from embedplane_server.scheduling.probes import Probe
from embedplane_server.scheduling.work import Unit, Work


@dataclass(frozen=True, slots=True)
class Begun:
    """Inputs that have left the queue, and the batch that they make; a probe has its last row."""

    units: list[Unit]
    batch: Batch
    probe: Probe | None = None

    @property
    def tokens(self) -> int:
        """Tokens that requests asked for."""
        return sum(len(ids) for ids in self.batch.token_ids[: len(self.units)])

    def padding(self, row_tokens: int | None) -> int:
        """Return the tokens that are computed for nothing: what the inputs lack of the longest, or of whole rows."""
        if row_tokens is not None and 2 * self.batch.longest <= row_tokens:
            return -self.tokens % row_tokens
        return self.batch.longest * len(self.units) - self.tokens

    @property
    def works(self) -> list[Work]:
        """The requests that the inputs are of."""
        return list({id(unit.work): unit.work for unit in self.units}.values())

    def rows(self, vectors: Vectors) -> Iterable[Vectors]:
        """Part the vectors by the inputs; a probe's is left out."""
        if not self.batch.every_token:
            return vectors[: len(self.units)]
        return np.split(vectors, np.cumsum([len(ids) for ids in self.batch.token_ids])[:-1])

    def with_rider(self, probe: Probe) -> "Begun":
        """Return the batch with one more row."""
        return Begun(self.units, Batch([*self.batch.token_ids, probe.token_ids], self.batch.alone), probe)


def begin(units: list[Unit], *, alone: bool) -> list[Begun]:
    """Part inputs where some want vectors of texts and some of tokens: one call of the engine gives either."""
    alike = [[unit for unit in units if unit.work.every_token is every_token] for every_token in (False, True)]
    return [
        Begun(each, Batch([unit.token_ids for unit in each], alone, each[0].work.every_token)) for each in alike if each
    ]


def with_probe(begun: list[Begun], probe: Probe, now: float, *, is_idle: bool) -> list[Begun] | None:
    """Return what begins together with a probe, None while it is not its turn."""
    if is_idle and not begun:
        return [Begun([], Batch([probe.token_ids], probe.alone), probe)]
    if now < probe.rides_from:
        return None
    place = next((place for place, each in enumerate(begun) if not each.batch.every_token), None)
    if place is None:
        return None
    return [*begun[:place], begun[place].with_rider(probe), *begun[place + 1 :]]
