"""How alike two spaces rank the same texts: what a search finds first, and the order of everything. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedplane_server.engines.base import Vectors
from embedplane_server.ranks import spearman
from embedplane_server.similarity import similarities

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Texts in one space: the vectors of what is searched for and of what is found, and how nearness is computed."""

    queries: Vectors
    documents: Vectors
    similarity: str
    is_same: bool
    """The queries are the documents: each is looked for among all others."""

    def scores(self, query: int) -> Numbers:
        """Return how near each document is to a query; a text does not find itself."""
        found = np.asarray(similarities(self.similarity, self.queries[query], self.documents), dtype=np.float64)
        return np.delete(found, query) if self.is_same else found


@dataclass(frozen=True, slots=True)
class Alikeness:
    """One row a query: 1 where both spaces rank alike."""

    overlap: Numbers
    """Share of the first `depth` documents of one space that are among the first of the other."""
    correlation: Numbers
    """Spearman's correlation of the order of all documents."""
    same_first: Numbers
    """1 where both find the same document first."""
    depth: int

    def summary(self) -> Mapping[str, float | int]:
        """Return means, and the overlap that nine queries of ten reach."""
        return {
            "queries": len(self.overlap),
            "depth": self.depth,
            "meanOverlap": float(self.overlap.mean()),
            "tenthPercentileOverlap": float(np.percentile(self.overlap, 10)),
            "sameFirst": float(self.same_first.mean()),
            "meanRankCorrelation": float(self.correlation.mean()),
        }


def alikeness(one: Ranked, other: Ranked, depth: int = 10) -> Alikeness:
    """Rank the documents for every query in both spaces and compare."""
    rows = [_compare(one.scores(query), other.scores(query), depth) for query in range(len(one.queries))]
    overlap, correlation, first = np.array(rows, dtype=np.float64).T
    return Alikeness(overlap, correlation, first, depth)


def _compare(one: Numbers, other: Numbers, depth: int) -> tuple[float, float, float]:
    depth = min(depth, len(one))
    first, second = _order(one)[:depth], _order(other)[:depth]
    overlap = len(np.intersect1d(first, second)) / depth
    return overlap, spearman(one, other), float(first[0] == second[0])


def _order(scores: Numbers) -> NDArray[np.intp]:
    """Return documents, the nearest first; equally near ones as they stand."""
    return np.argsort(-scores, kind="stable")
