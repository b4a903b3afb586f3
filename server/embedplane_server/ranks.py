"""How far two orders of the same things agree: Spearman's rank correlation. Pure."""

import numpy as np
from numpy.typing import NDArray

from embedplane_server.engines.base import Vectors

Numbers = NDArray[np.float64]


def spearman(ours: Numbers | Vectors, theirs: Numbers | Vectors) -> float:
    """Return the correlation of the ranks: 1 the same order, -1 the opposite; 1 where theirs is no order at all."""
    one, other = _ranks(ours), _ranks(theirs)
    if not other.any():
        return 1.0
    return float(one @ other) / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12)


def _ranks(values: Numbers | Vectors) -> Numbers:
    """Return the place of each value from the middle; equal ones share theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(ranks[places] - (len(values) - 1) / 2, dtype=np.float64)
