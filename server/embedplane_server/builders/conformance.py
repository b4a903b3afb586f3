"""The proof that an engine's vectors equal sentence-transformers': cosines to the fp32 references of an export.

Used before an engine is published and again by every server on its own hardware. Needs no tokenizer and no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedplane_server.engines.base import Batch, Engine, Vectors
from embedplane_server.export.manifest import REFERENCES

# Mixed batches hold texts of very different lengths, so that padding is proven too.
_MIXED_BATCH_TEXTS = 8


@dataclass(frozen=True, slots=True)
class References:
    """Golden texts as token ids, and their vectors by sentence-transformers in fp32."""

    token_ids: tuple[tuple[int, ...], ...]
    vectors: Vectors

    def sample(self, limit: int | None) -> "References":
        """Return so many texts, spread over all lengths; all of them without a limit."""
        if limit is None or limit >= len(self.token_ids):
            return self
        by_length = sorted(range(len(self.token_ids)), key=lambda row: len(self.token_ids[row]))
        rows = [by_length[int(place)] for place in np.linspace(0, len(by_length) - 1, limit)]
        return References(tuple(self.token_ids[row] for row in rows), self.vectors[rows])


@dataclass(frozen=True, slots=True)
class Conformance:
    """How near an engine's vectors are to the references, over every text alone and in mixed batches."""

    texts: int
    minimum_cosine: float
    mean_cosine: float


def measure(engine: Engine, references: References, limit: int | None = None) -> Conformance:
    """Embed golden texts singly and in mixed padded batches and compare each vector with its reference."""
    chosen = references.sample(limit)
    rows = range(len(chosen.token_ids))
    alone = np.concatenate([engine.embed(Batch([chosen.token_ids[row]], alone=True)) for row in rows])
    mixed = np.empty_like(alone)
    for batch in _mixed(rows):
        mixed[batch] = engine.embed(Batch([chosen.token_ids[row] for row in batch]))
    cosines = np.concatenate([cosine(alone, chosen.vectors), cosine(mixed, chosen.vectors)])
    return Conformance(len(chosen.token_ids), float(cosines.min()), float(cosines.mean()))


def cosine(ours: Vectors, theirs: Vectors) -> NDArray[np.float64]:
    """Return the cosine of each row with the other's; anything that is not a number counts as -1."""
    left, right = ours.astype(np.float64), theirs.astype(np.float64)
    with np.errstate(all="ignore"):
        values = (left * right).sum(axis=1) / (np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1))
    return np.where(np.isfinite(values), np.clip(values, -1.0, 1.0), -1.0)


def load_references(directory: Path) -> References:
    """Read the references of an export or an engine."""
    with np.load(directory / REFERENCES, allow_pickle=False) as arrays:
        flat, lengths, vectors = arrays["token_ids"], arrays["lengths"], arrays["vectors"]
    parts = np.split(flat, np.cumsum(lengths)[:-1])
    return References(tuple(tuple(part.tolist()) for part in parts), vectors.astype(np.float32))


def save_references(directory: Path, references: References) -> None:
    """Write references; `load_references` reads them."""
    np.savez_compressed(
        directory / REFERENCES,
        token_ids=np.concatenate([np.asarray(ids, dtype=np.int32) for ids in references.token_ids]),
        lengths=np.asarray([len(ids) for ids in references.token_ids], dtype=np.int64),
        vectors=references.vectors,
    )


def _mixed(rows: Sequence[int]) -> list[list[int]]:
    """Deal the rows round, so that neighbours in the list of texts come into different batches."""
    batches = -(-len(rows) // _MIXED_BATCH_TEXTS)
    return [list(rows[start::batches]) for start in range(batches)]
