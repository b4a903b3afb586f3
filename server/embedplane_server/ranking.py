"""From scores to an order: what reranking is beyond computing them."""

from dataclasses import dataclass

import numpy as np

from embedplane_server.engines.base import Vectors


@dataclass(frozen=True, slots=True)
class Rank:
    """The place of a text in the request, and its score."""

    index: int
    score: np.float32


def ranked(scores: Vectors, top: int | None = None) -> list[Rank]:
    """Return the best of scores of shape `[texts]`, the highest first; equal ones as they came."""
    order = np.argsort(-scores, kind="stable")[:top]
    return [Rank(int(index), scores[index]) for index in order]
