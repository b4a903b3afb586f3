"""`compare A B`: how differently two vector spaces rank the same texts, before anything is embedded again.

A side is the URL of a served model, or a file of vectors: an index export, whose ids (and texts, if it has them) are
the corpus.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from embedplane_server.engines.base import Vectors
from embedplane_server.errors import invalid_settings
from embedplane_server.migration.columns import Columns
from embedplane_server.migration.endpoint import Endpoint
from embedplane_server.migration.neighbours import Alikeness, Ranked, alikeness
from embedplane_server.migration.records import Id, Record, groups, read_records

REQUEST_TEXTS = 64
LEAST_TEXTS = 3


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared, and on which texts."""

    sides: tuple[str, str]
    texts: Path | None = None
    queries: Path | None = None
    columns: Columns = field(default_factory=Columns)
    similarity: str = "cosine"
    """Of vectors in files; a server says its own."""
    limit: int = 2000
    """So many documents at most: every query is ranked against each of them."""
    depth: int = 10
    truncate: bool = False


class Side(Protocol):
    """One of the two spaces."""

    async def rank(self, documents: Sequence[Record], queries: Sequence[Record] | None) -> Ranked:
        """Return vectors of these records; without queries each document is one."""
        ...

    @property
    def name(self) -> str:
        """What it is called in the answer."""
        ...


@dataclass(slots=True)
class ServedSide:
    """A served model."""

    endpoint: Endpoint
    truncate: bool
    name: str = ""

    async def rank(self, documents: Sequence[Record], queries: Sequence[Record] | None) -> Ranked:
        """Embed the texts, each by the prompt for its role."""
        served = await self.endpoint.served()
        self.name = f"{self.endpoint.url} ({served.space})"
        found = await self._embed(documents, served.space, "document")
        asked = found if queries is None else await self._embed(queries, served.space, "query")
        return Ranked(asked, found, served.similarity, is_same=queries is None)

    async def _embed(self, records: Sequence[Record], space: str, input_type: str) -> Vectors:
        texts = [record.text or "" for record in records]
        parts = [
            await self.endpoint.embed(some, space, input_type, truncate=self.truncate)
            for some in groups(texts, REQUEST_TEXTS)
        ]
        return np.concatenate([part.vectors for part in parts])


@dataclass(frozen=True, slots=True)
class StoredSide:
    """Vectors that were computed earlier."""

    path: Path
    records: Sequence[Record]
    vectors: Mapping[Id, Sequence[float]]
    similarity: str

    @property
    def name(self) -> str:
        """The file."""
        return str(self.path)

    async def rank(self, documents: Sequence[Record], queries: Sequence[Record] | None) -> Ranked:
        """Look the vectors up by their ids."""
        if queries is not None:
            raise invalid_settings(
                f"{self.path} holds no vectors of queries. Leave --queries out: texts then look for each other."
            )
        try:
            rows = np.array([self.vectors[record.id] for record in documents], dtype=np.float32)
        except ValueError as error:
            raise invalid_settings(
                f"the vectors of {self.path} differ in length. It mixes spaces: export one."
            ) from error
        return Ranked(rows, rows, self.similarity, is_same=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """How alike the sides rank."""

    names: tuple[str, str]
    documents: Sequence[Record]
    asked: Sequence[Record]
    found: Alikeness

    def as_document(self) -> dict[str, object]:
        """Return the answer as JSON has it."""
        worst = [{"id": record.id, "overlap": overlap, "text": record.text} for record, overlap in self._worst()]
        names = dict(zip(("a", "b"), self.names, strict=True))
        return {**names, "documents": len(self.documents), **self.found.summary(), "worst": worst}

    def lines(self) -> list[str]:
        """Return the answer as people read it."""
        numbers, overlap = self.found.summary(), f"overlap@{self.found.depth}"
        mean, tenth = numbers["meanOverlap"], numbers["tenthPercentileOverlap"]
        return [
            *(f"{letter}: {name}" for letter, name in zip("ab", self.names, strict=True)),
            f"{len(self.asked)} queries over {len(self.documents)} documents",
            f"{overlap:<18} {mean:.3f} mean; one query of ten has {tenth:.3f} or less",
            f"{'same first result':<18} {numbers['sameFirst']:.3f} of the queries",
            f"{'rank correlation':<18} {numbers['meanRankCorrelation']:.3f} mean (Spearman, all documents)",
            f"least {overlap}:",
            *(f"  {each:.2f}  {record.id}  {(record.text or '')[:60]}" for record, each in self._worst()),
        ]

    def _worst(self, most: int = 5) -> list[tuple[Record, float]]:
        order = np.argsort(self.found.overlap, kind="stable")[:most]
        return [(self.asked[row], float(self.found.overlap[row])) for row in order]


async def compare(wanted: Comparison, endpoints: Mapping[str, Endpoint]) -> Answer:
    """Return how alike the two sides rank. `endpoints` holds a client of each side that is a URL."""
    stored = {side: _stored(Path(side), wanted) for side in wanted.sides if side not in endpoints}
    documents = _documents(wanted, list(stored.values()))
    queries = _with_text(wanted.queries, wanted.columns) if wanted.queries else None
    if endpoints:
        _check_texts(documents)
    sides: list[Side] = [
        ServedSide(endpoints[side], wanted.truncate) if side in endpoints else stored[side] for side in wanted.sides
    ]
    one, other = [await side.rank(documents, queries) for side in sides]
    found = alikeness(one, other, wanted.depth)
    return Answer((sides[0].name, sides[1].name), documents, documents if queries is None else queries, found)


def _documents(wanted: Comparison, stored: Sequence[StoredSide]) -> Sequence[Record]:
    """Return the corpus: the given texts, else those of the export; only ids that every file of vectors has."""
    if wanted.texts is not None:
        corpus: Sequence[Record] = _with_text(wanted.texts, wanted.columns)
    elif stored:
        corpus = max((side.records for side in stored), key=lambda records: sum(bool(each.text) for each in records))
    else:
        raise invalid_settings("both sides are servers, so texts are needed: --texts FILE.")
    documents = [record for record in corpus if all(record.id in side.vectors for side in stored)]
    if len(documents) < LEAST_TEXTS:
        raise invalid_settings(
            f"{len(documents)} of {len(corpus)} records are on both sides; at least {LEAST_TEXTS} are needed. "
            "Ids have to be the same in all files."
        )
    return _spread(documents, wanted.limit)


def _spread(records: Sequence[Record], limit: int) -> Sequence[Record]:
    """Return so many of the records, from the first to the last."""
    if len(records) <= limit:
        return records
    return [records[int(place)] for place in np.linspace(0, len(records) - 1, limit)]


def _stored(path: Path, wanted: Comparison) -> StoredSide:
    records = [record for record in read_records(path, wanted.columns) if record.vector]
    if not records:
        raise invalid_settings(
            f"{path} has no vectors in its field {wanted.columns.vector}. Name the field (--vector-field), or give "
            "URLs on both sides and the file as --texts."
        )
    vectors = {record.id: record.vector for record in records if record.vector}
    return StoredSide(path, records, vectors, wanted.similarity)


def _with_text(path: Path, columns: Columns) -> list[Record]:
    return [record for record in read_records(path, columns) if record.text]


def _check_texts(documents: Sequence[Record]) -> None:
    for record in documents:
        if not record.text:
            raise invalid_settings(
                f"the record with the id {record.id!r} has no text to embed. Give the texts: --texts FILE."
            )
