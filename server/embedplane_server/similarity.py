"""How near vectors are, by the function that a model names, with the numbers of sentence-transformers."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from embedplane_server.engines.base import Vectors
from embedplane_server.matryoshka import unit

Scores = NDArray[np.float32]


def _cosine(one: Vectors, others: Vectors) -> Scores:
    return np.asarray(unit(others) @ unit(one[None])[0], dtype=np.float32)


def _dot(one: Vectors, others: Vectors) -> Scores:
    return np.asarray(others @ one, dtype=np.float32)


def _euclidean(one: Vectors, others: Vectors) -> Scores:
    return np.asarray(-np.linalg.norm(others - one, axis=1), dtype=np.float32)


def _manhattan(one: Vectors, others: Vectors) -> Scores:
    return np.asarray(-np.abs(others - one).sum(axis=1), dtype=np.float32)


FUNCTIONS: Mapping[str, Callable[[Vectors, Vectors], Scores]] = {
    "cosine": _cosine,
    "dot": _dot,
    "dot_product": _dot,
    "euclidean": _euclidean,
    "manhattan": _manhattan,
}


def similarities(function: str, one: Vectors, others: Vectors) -> Scores:
    """Return how near `others` are to `one`: the larger the nearer, so distances are negative."""
    return FUNCTIONS.get(function, _cosine)(one, others)
