"""Every golden text through an engine three times: alone, beside others, and beside yet others in another order.

A vector must not depend on what else is in its batch, on padding, or on its place there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from embedplane_server.engines.base import Batch, Engine, Vectors

# Mixed batches hold texts of very different lengths, so that padding is proven too.
_MIXED_BATCH_TEXTS = 8
_OTHER_BATCH_TEXTS = 5
# Very long texts have few batch-mates, else most of the time goes into padding.
_PADDED_TOKENS = 16_384
# Longer texts are not embedded a third time: on a few cores that takes minutes.
_THRICE_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Passes:
    """The vectors of all texts, a row each, `[texts, dimensions]`: once for each way of embedding them."""

    alone: Vectors
    mixed: Vectors
    reordered: Vectors

    def __iter__(self) -> Iterator[Vectors]:
        return iter((self.alone, self.mixed, self.reordered))


def embed_in_every_way(engine: Engine, token_ids: Sequence[Sequence[int]]) -> Passes:
    """Embed texts singly, as batches that are alone are, and in mixed padded batches of two kinds."""
    alone = np.concatenate([engine.embed(Batch([ids], alone=True)) for ids in token_ids])
    mixed, reordered = np.empty_like(alone), np.empty_like(alone)
    for batch in _dealt(token_ids):
        mixed[batch] = engine.embed(Batch([token_ids[row] for row in batch]))
    reordered[:] = mixed
    for batch in _backwards(token_ids):
        reordered[batch] = engine.embed(Batch([token_ids[row] for row in batch]))
    return Passes(alone, mixed, reordered)


def _dealt(token_ids: Sequence[Sequence[int]]) -> list[list[int]]:
    """Deal the texts round, so that neighbours in the list come into different batches."""
    count = -(-len(token_ids) // _MIXED_BATCH_TEXTS)
    batches = [list(range(start, len(token_ids), count)) for start in range(count)]
    return [part for batch in batches for part in _affordable(batch, token_ids)]


def _backwards(token_ids: Sequence[Sequence[int]]) -> list[list[int]]:
    """Cut the list of texts, from its end on, into batches of neighbours."""
    rows = [row for row in range(len(token_ids) - 1, -1, -1) if len(token_ids[row]) <= _THRICE_TOKENS]
    return [rows[start : start + _OTHER_BATCH_TEXTS] for start in range(0, len(rows), _OTHER_BATCH_TEXTS)]


def _affordable(batch: list[int], token_ids: Sequence[Sequence[int]]) -> list[list[int]]:
    """Cut a batch whose longest text makes it too large; two texts always stay together."""
    texts = max(2, _PADDED_TOKENS // max(len(token_ids[row]) for row in batch))
    if texts >= len(batch):
        return [batch]
    longest = max(batch, key=lambda row: len(token_ids[row]))
    mates = [row for row in batch if row != longest]
    return [[longest, *mates[: texts - 1]], mates[texts - 1 :]]
