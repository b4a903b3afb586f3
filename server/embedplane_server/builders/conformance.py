"""The proof that an engine's vectors equal sentence-transformers': how near they are to an export's fp32 references.

Of a model that classifies the scores are compared, see `score_agreement.py`; what has to hold is in `verdict.py`.

Used before an engine is published and again by every server on its own hardware. Needs no tokenizer and no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedplane_server.builders.passes import Passes, embed_in_every_way
from embedplane_server.builders.score_agreement import differences, nearness, rank_correlation
from embedplane_server.builders.vector_agreement import cosine, neighbor_overlap, norm_difference
from embedplane_server.engines.base import Engine, PromptedIds, TypedIds, Vectors
from embedplane_server.export.manifest import REFERENCES
from embedplane_server.model.classifier import Activation
from embedplane_server.results import ConformanceResult

_WORST_TEXTS = 3


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

    def followed_by(self, others: "References") -> "References":
        """Return these and, after them, others."""
        return References((*self.token_ids, *others.token_ids), np.concatenate([self.vectors, others.vectors]))


@dataclass(frozen=True, slots=True)
class Conformance:
    """How near an engine's vectors are to the references, over every text alone and in mixed batches.

    Scores count on the scale of the cosine, the lowest together with the correlation of their order.
    """

    texts: int
    minimum_cosine: float
    mean_cosine: float
    first_percentile_cosine: float | None = None
    """Of the lowest values of all texts."""
    maximum_norm_difference: float | None = None
    """By which part of itself the length of a vector differs at most; None: the model classifies."""
    neighbor_overlap: float | None = None
    """Part of each text's ten nearest texts that is the same, on average; None: the model classifies."""
    minimum_batch_cosine: float | None = None
    """Lowest cosine of a vector to the same text's in another batch; None: the model classifies."""
    maximum_difference: float | None = None
    """The largest distance of a text's scores to the reference's; None: the model embeds."""
    rank_correlation: float | None = None
    worst: tuple[tuple[int, float], ...] = ()
    """Rows of the texts that are farthest off, the worst first, and how near they are."""


def measure(
    engine: Engine, references: References, limit: int | None = None, *, activation: Activation | None = None
) -> Conformance:
    """Embed golden texts singly and in mixed padded batches and compare each vector with its reference.

    With an activation the vectors are logits, and scores are compared.
    """
    chosen = references.sample(limit)
    passes = embed_in_every_way(engine, chosen.token_ids)
    if activation is not None:
        return _of_scores(activation, passes, chosen.vectors)
    return _of_vectors(passes, chosen)


def _of_vectors(passes: Passes, expected: References) -> Conformance:
    near = np.stack([cosine(vectors, expected.vectors) for vectors in passes])
    return Conformance(
        texts=len(expected.token_ids),
        minimum_cosine=float(near.min()),
        mean_cosine=float(near.mean()),
        first_percentile_cosine=_first_percentile(near),
        maximum_norm_difference=max(norm_difference(vectors, expected.vectors) for vectors in passes),
        neighbor_overlap=neighbor_overlap(passes.alone, expected.vectors, expected.token_ids),
        minimum_batch_cosine=min(
            float(cosine(vectors, passes.alone).min()) for vectors in (passes.mixed, passes.reordered)
        ),
        worst=_worst(near),
    )


def _of_scores(activation: Activation, passes: Passes, expected: Vectors) -> Conformance:
    distances = np.stack([differences(activation, logits, expected) for logits in passes])
    order = min(rank_correlation(logits, expected) for logits in passes)
    near = nearness(distances)
    return Conformance(
        texts=len(expected),
        minimum_cosine=min(float(near.min()), order),
        mean_cosine=float(near.mean()),
        first_percentile_cosine=_first_percentile(near),
        maximum_difference=float(distances.max()),
        rank_correlation=order,
        worst=_worst(near),
    )


def _first_percentile(near: NDArray[np.float64]) -> float:
    return float(np.percentile(near.min(axis=0), 1))


def _worst(near: NDArray[np.float64]) -> tuple[tuple[int, float], ...]:
    lowest = near.min(axis=0)
    return tuple((int(row), float(lowest[row])) for row in np.argsort(lowest)[:_WORST_TEXTS])


def told(found: Conformance | ConformanceResult) -> str:
    """Return what was measured, in words that follow "the engine's"."""
    if found.maximum_difference is not None and found.rank_correlation is not None:
        return (
            f"scores differ by {found.maximum_difference:.6f} at most from sentence-transformers' and their order "
            f"correlates by {found.rank_correlation:.6f} ({found.texts} texts), which counts as a cosine of "
            f"{found.minimum_cosine:.6f}"
        )
    words = (
        f"vectors have a cosine of {found.minimum_cosine:.6f} at least (mean {found.mean_cosine:.6f}, "
        f"{found.texts} texts) to sentence-transformers'"
    )
    if found.neighbor_overlap is not None and found.maximum_norm_difference is not None:
        words += (
            f", lengths that differ by {found.maximum_norm_difference:.2%} at most, and {found.neighbor_overlap:.1%} "
            "of their nearest neighbours"
        )
    return words


def text_nearness(activation: Activation | None, ours: Vectors, theirs: Vectors) -> NDArray[np.float64]:
    """Return how near each text's vector, or scores, is to the reference: 1 is the same."""
    return cosine(ours, theirs) if activation is None else nearness(differences(activation, ours, theirs))


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
