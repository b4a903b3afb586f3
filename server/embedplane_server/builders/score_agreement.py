"""How near scores are to the reference's, on the scale of the cosine, so that one floor means as much for both.

Unit vectors at a distance d of each other have the cosine 1 - d²/2: so much is counted for scores that are d apart.
The floor of 0.999 thus holds scores to a difference of 0.045 at most. Scores are between 0 and 1 here, also of models
that answer with their logits. Where most are near 0 or 1 that alone would hide much, so the order of the texts by their
logits has to agree as well.
"""

import numpy as np
from numpy.typing import NDArray

from embedplane_server.activation import activate
from embedplane_server.engines.base import Vectors
from embedplane_server.model.classifier import Activation
from embedplane_server.ranks import spearman

Numbers = NDArray[np.float64]

FARTHEST = 1e6
"""The distance of what is not a number."""


def differences(activation: Activation, ours: Vectors, theirs: Vectors) -> Numbers:
    """Return the distance between two models' scores in each row of logits."""
    bounded: Activation = "sigmoid" if activation == "identity" else activation
    with np.errstate(all="ignore"):
        distances = np.linalg.norm(activate(bounded, ours) - activate(bounded, theirs), axis=1).astype(np.float64)
    return np.where(np.isfinite(ours).all(axis=1), distances, FARTHEST)


def nearness(distances: Numbers) -> Numbers:
    """Return distances on the scale of the cosine: 1 is the same, -1 as far apart as can be."""
    return np.asarray(1.0 - np.minimum(distances, 2.0) ** 2 / 2)


def rank_correlation(ours: Vectors, theirs: Vectors) -> float:
    """Return Spearman's correlation of the texts' order by their logits, of the label where it is lowest."""
    if not np.isfinite(ours).all():
        return -1.0
    return min(spearman(ours[:, label], theirs[:, label]) for label in range(theirs.shape[1]))
