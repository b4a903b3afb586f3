"""The proof that an engine's vectors equal sentence-transformers': cosines to the fp32 references of an export.

Of a model that classifies the scores are compared, see `agreement.py`.

Used before an engine is published and again by every server on its own hardware. Needs no tokenizer and no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedplane_server.builders.agreement import differences, nearness, rank_correlation
from embedplane_server.engines.base import Batch, Engine, PromptedIds, TypedIds, Vectors
from embedplane_server.export.manifest import REFERENCES
from embedplane_server.model.classifier import Activation
from embedplane_server.results import ConformanceResult

# Mixed batches hold texts of very different lengths, so that padding is proven too.
_MIXED_BATCH_TEXTS = 8


@dataclass(frozen=True, slots=True)
class References:
    """Golden texts as token ids, and their vectors (or logits) by sentence-transformers in fp32."""

    token_ids: tuple[Sequence[int], ...]
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
    """How near an engine's vectors are to the references, over every text alone and in mixed batches.

    Scores count on the scale of the cosine, the lowest together with the correlation of their order.
    """

    texts: int
    minimum_cosine: float
    mean_cosine: float
    maximum_difference: float | None = None
    """The largest distance of a text's scores to the reference's; None: the model embeds."""
    rank_correlation: float | None = None


def measure(
    engine: Engine, references: References, limit: int | None = None, *, activation: Activation | None = None
) -> Conformance:
    """Embed golden texts singly and in mixed padded batches and compare each vector with its reference.

    With an activation the vectors are logits, and scores are compared.
    """
    chosen = references.sample(limit)
    rows = range(len(chosen.token_ids))
    alone = np.concatenate([engine.embed(Batch([chosen.token_ids[row]], alone=True)) for row in rows])
    mixed = np.empty_like(alone)
    for batch in _mixed(rows):
        mixed[batch] = engine.embed(Batch([chosen.token_ids[row] for row in batch]))
    if activation is not None:
        return _of_scores(activation, (alone, mixed), chosen.vectors)
    cosines = np.concatenate([cosine(alone, chosen.vectors), cosine(mixed, chosen.vectors)])
    return Conformance(len(chosen.token_ids), float(cosines.min()), float(cosines.mean()))


def _of_scores(activation: Activation, found: Sequence[Vectors], expected: Vectors) -> Conformance:
    distances = np.concatenate([differences(activation, logits, expected) for logits in found])
    order = min(rank_correlation(logits, expected) for logits in found)
    near = nearness(distances)
    lowest, largest = min(float(near.min()), order), float(distances.max())
    return Conformance(len(expected), lowest, float(near.mean()), largest, order)


def told(found: Conformance | ConformanceResult) -> str:
    """Return what was measured, in words that follow "the engine's"."""
    if found.maximum_difference is None or found.rank_correlation is None:
        return (
            f"vectors have a cosine of {found.minimum_cosine:.6f} at least (mean {found.mean_cosine:.6f}, "
            f"{found.texts} texts) to sentence-transformers'"
        )
    return (
        f"scores differ by {found.maximum_difference:.6f} at most from sentence-transformers' and their order "
        f"correlates by {found.rank_correlation:.6f} ({found.texts} texts), which counts as a cosine of "
        f"{found.minimum_cosine:.6f}"
    )


def text_nearness(activation: Activation | None, ours: Vectors, theirs: Vectors) -> NDArray[np.float64]:
    """Return how near each text's vector, or scores, is to the reference: 1 is the same."""
    return cosine(ours, theirs) if activation is None else nearness(differences(activation, ours, theirs))


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
        types, left_out = arrays.get("type_ids"), arrays.get("left_out")
    cuts = np.cumsum(lengths)[:-1]
    token_ids: list[Sequence[int]] = [tuple(part.tolist()) for part in np.split(flat, cuts)]
    if types is not None:
        parts = np.split(types, cuts)
        token_ids = [TypedIds(ids, part.tolist()) for ids, part in zip(token_ids, parts, strict=True)]
    if left_out is not None:
        token_ids = [PromptedIds(ids, int(count)) for ids, count in zip(token_ids, left_out, strict=True)]
    return References(tuple(token_ids), vectors.astype(np.float32))


def save_references(directory: Path, references: References) -> None:
    """Write references; `load_references` reads them."""
    arrays: dict[str, Any] = {
        "token_ids": np.concatenate([np.asarray(ids, dtype=np.int32) for ids in references.token_ids]),
        "lengths": np.asarray([len(ids) for ids in references.token_ids], dtype=np.int64),
        "vectors": references.vectors,
    }
    if any(isinstance(ids, TypedIds) for ids in references.token_ids):
        types = [ids.type_ids if isinstance(ids, TypedIds) else [0] * len(ids) for ids in references.token_ids]
        arrays["type_ids"] = np.concatenate([np.asarray(each, dtype=np.int8) for each in types])
    if any(isinstance(ids, PromptedIds) for ids in references.token_ids):
        left_out = [ids.left_out if isinstance(ids, PromptedIds) else 0 for ids in references.token_ids]
        arrays["left_out"] = np.asarray(left_out, dtype=np.int32)
    np.savez_compressed(directory / REFERENCES, **arrays)


def _mixed(rows: Sequence[int]) -> list[list[int]]:
    """Deal the rows round, so that neighbours in the list of texts come into different batches."""
    batches = -(-len(rows) // _MIXED_BATCH_TEXTS)
    return [list(rows[start::batches]) for start in range(batches)]
