"""Records with an id and a text or a vector, from JSONL, Parquet or plain text files; vectors into the first two.

A JSONL line is one object. Column names are the caller's; vectors are lists of numbers.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from arro3.core import Array, DataType, RecordBatch, fixed_size_list_array
from arro3.io import read_parquet, write_parquet

from embedplane_server.engines.base import Vectors
from embedplane_server.errors import PermanentError, PermanentReason, invalid_settings
from embedplane_server.migration.columns import Columns

Id = str | int
Form = Literal["jsonl", "parquet"]
SPACE = "vector_space"
"""Column, and key of a Parquet file's metadata, that name the space of the vectors."""

MAGIC = b"PAR1"
"""The first and the last bytes of a Parquet file (https://parquet.apache.org/docs/file-format/)."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of an index."""

    id: Id
    text: str | None = None
    vector: Sequence[float] | None = None


def form_of(path: Path) -> Form | None:
    """Return how a file is written, by its name; None: plain text, one text a line."""
    forms: Mapping[str, Form] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
    if path.suffix in forms:
        return forms[path.suffix]
    if path.suffix in ("", ".txt"):
        return None
    raise invalid_settings(f"{path} is neither .jsonl, .parquet nor .txt. Convert it to one of these.")


def read_records(path: Path, columns: Columns) -> Iterator[Record]:
    """Return the records of a file in its order, read one by one; ids of plain text are line numbers from 1.

    Ids are strings or whole numbers, one kind in a file. Raises `PermanentError` that names the record it cannot read.
    """
    if not path.is_file():
        raise PermanentError(PermanentReason.PATH_NOT_FOUND, f"{path} is not a file. Give that of your texts.")
    return _records(path, form_of(path), columns)


def _records(path: Path, form: Form | None, columns: Columns) -> Iterator[Record]:
    rows: Iterable[Mapping[str, Any]]
    if form is None:
        yield from (Record(number, line.strip()) for number, line in _lines(path) if line.strip())
        return
    rows = _json_rows(path) if form == "jsonl" else _parquet_rows(path, columns)
    kind: type[Id] | None = None
    for number, row in enumerate(rows, start=1):
        record = _record(row, columns, f"record {number} of {path}")
        if kind not in (None, type(record.id)):
            raise invalid_settings(f"record {number} of {path} has another kind of id than those before. Use one kind.")
        kind = type(record.id)
        yield record


def write_vectors(path: Path, form: Form, ids: Sequence[Id], vectors: Vectors, space: str, columns: Columns) -> None:
    """Write ids with their vectors, shape `[len(ids), dimensions]`, each naming its space."""
    if form == "parquet":
        _write_parquet(path, ids, vectors, space, columns)
        return
    with path.open("w", encoding="utf-8") as file:
        for each, vector in zip(ids, vectors.tolist(), strict=True):
            file.write(json.dumps({columns.id: each, columns.vector: vector, SPACE: space}, ensure_ascii=False) + "\n")


def _write_parquet(path: Path, ids: Sequence[Id], vectors: Vectors, space: str, columns: Columns) -> None:
    dimensions = vectors.shape[1]
    kind = DataType.int64() if isinstance(ids[0], int) else DataType.string()
    names = [columns.id, columns.vector, SPACE]
    arrays = [
        Array(list(ids), kind),
        fixed_size_list_array(Array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1)), dimensions),
        Array([space] * len(ids), DataType.string()),
    ]
    batch = RecordBatch.from_arrays(arrays, names=names)
    write_parquet(batch, path, compression="zstd(3)", key_value_metadata={SPACE: space})


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8") as file:
        try:
            yield from enumerate(file, start=1)
        except UnicodeDecodeError as error:
            raise invalid_settings(f"{path} is not UTF-8: {error}. Convert it.") from error


def _json_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise invalid_settings(f"line {number} of {path} is not JSON: {error}. Write one object a line.") from error
        if not isinstance(row, dict):
            raise invalid_settings(f"line {number} of {path} is not an object. Write one object a line.")
        yield row


def _parquet_rows(path: Path, columns: Columns) -> Iterator[Mapping[str, Any]]:
    wanted = (columns.id, columns.text, columns.vector)
    if not _is_whole_parquet(path):  # the library would panic
        raise invalid_settings(f"{path} cannot be read as Parquet: it does not begin and end as one. Write it again.")
    try:
        for batch in read_parquet(path):
            present = [name for name in wanted if name in batch.schema.names]
            lists = [batch.column(name).to_pylist() for name in present]
            for values in zip(*lists, strict=True):
                yield dict(zip(present, values, strict=True))
    except Exception as error:  # the library has no error of its own
        raise invalid_settings(f"{path} cannot be read as Parquet: {error}.") from error


def _is_whole_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        begins = file.read(len(MAGIC)) == MAGIC
        if file.seek(0, os.SEEK_END) < 3 * len(MAGIC):
            return False
        file.seek(-len(MAGIC), os.SEEK_END)
        return begins and file.read() == MAGIC


def _record(row: Mapping[str, Any], columns: Columns, where: str) -> Record:
    identity, text, vector = row.get(columns.id), row.get(columns.text), row.get(columns.vector)
    if not isinstance(identity, str | int) or isinstance(identity, bool):
        raise invalid_settings(
            f"{where} has no string or whole number as its {columns.id}. Name the field: --id-field."
        )
    if text is not None and not isinstance(text, str):
        raise invalid_settings(f"{where} has no string as its {columns.text}. Name the field: --text-field.")
    if vector is not None and not isinstance(vector, list):
        raise invalid_settings(
            f"{where} has no list of numbers as its {columns.vector}. Name the field: --vector-field."
        )
    return Record(identity, text, vector)


def groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of so many items; the last may be shorter."""
    group: list[Item] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
