"""How near vectors are to the reference's in direction, in length, and in which texts they have for neighbours.

The cosine alone does not see a missing normalisation, nor that a model whose vectors all lie close together has lost
the small differences that make its order.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embedplane_server.engines.base import Vectors

Numbers = NDArray[np.float64]

NEIGHBORS = 10


def cosine(ours: Vectors, theirs: Vectors) -> Numbers:
    """Return the cosine of each row with the other's; anything that is not a number counts as -1."""
    left, right = ours.astype(np.float64), theirs.astype(np.float64)
    with np.errstate(all="ignore"):
        values = (left * right).sum(axis=1) / (np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1))
    return np.where(np.isfinite(values), np.clip(values, -1.0, 1.0), -1.0)


def norm_difference(ours: Vectors, theirs: Vectors) -> float:
    """Return by which part of itself the length of a vector differs at most; 1 where there is no number."""
    left, right = (np.linalg.norm(rows.astype(np.float64), axis=1) for rows in (ours, theirs))
    with np.errstate(all="ignore"):
        parts = np.abs(left - right) / np.maximum(right, 1e-30)
    return float(np.where(np.isfinite(parts), parts, 1.0).max())


def neighbor_overlap(ours: Vectors, theirs: Vectors, token_ids: Sequence[Sequence[int]]) -> float:
    """Return which part of each text's ten nearest texts is the same as in the reference, on average.

    Texts that come to the same tokens count once: their order among each other means nothing.
    """
    rows = list({tuple(ids): row for row, ids in enumerate(token_ids)}.values())
    count = min(NEIGHBORS, len(rows) - 1)
    if count < 1:
        return 1.0
    found, expected = (_nearest(vectors[rows], count) for vectors in (ours, theirs))
    return float(np.mean([len(set(left) & set(right)) / count for left, right in zip(found, expected, strict=True)]))


def _nearest(vectors: Vectors, count: int) -> NDArray[np.int64]:
    wide = np.nan_to_num(vectors.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    unit = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-30)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argpartition(-similarity, count - 1, axis=1)[:, :count]
