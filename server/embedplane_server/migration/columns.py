"""What the fields of a file of records are called."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the fields, or of a Parquet file's columns."""

    id: str = "id"
    text: str = "text"
    vector: str = "embedding"
