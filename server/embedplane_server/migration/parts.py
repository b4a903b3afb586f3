"""The folder that a re-embedding writes: numbered parts of a fixed number of records, and what they are parts of.

A part is written aside and renamed, so one that has its name is whole; a run that was ended goes on with the first that
is missing. The folder belongs to one input and one vector space: a run of another is refused.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from embedplane_server.engines.base import Vectors
from embedplane_server.errors import PermanentError, PermanentReason, invalid_settings
from embedplane_server.migration.columns import Columns
from embedplane_server.migration.records import Form, Id, write_vectors

PLAN = "reembedding.json"


class Plan(BaseModel):
    """What the parts of a folder are made of. A run with another plan must not add to them."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    vector_space: str
    input: str
    input_bytes: int
    input_type: str
    truncate: bool
    part_records: int
    form: Form


class Parts:
    """The parts of one folder."""

    def __init__(self, folder: Path, plan: Plan, columns: Columns) -> None:
        self._folder = folder
        self._plan = plan
        self._columns = columns

    def open(self) -> None:
        """Claim the folder for the plan; raise `PermanentError` if it holds those of another."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for leftover in self._folder.glob(".*.aside"):
                leftover.unlink()
            if (found := self._found()) is None:
                _write_aside(self._folder / PLAN, (self._plan.model_dump_json(by_alias=True, indent=2) + "\n").encode())
                return
        except OSError as error:
            raise PermanentError(
                PermanentReason.PATH_NOT_FOUND, f"{self._folder} cannot be written: {error}. Choose another folder."
            ) from error
        if found != self._plan.model_dump(by_alias=True):
            raise invalid_settings(
                f"{self._folder} is of another run: {self._differences(found)}. Choose another folder."
            )

    def has(self, number: int) -> bool:
        """Return whether a part is whole."""
        return self._path(number).exists()

    def write(self, number: int, ids: Sequence[Id], vectors: Vectors) -> None:
        """Publish a part."""
        aside = self._folder / f".{self._path(number).name}.aside"
        write_vectors(aside, self._plan.form, ids, vectors, self._plan.vector_space, self._columns)
        _publish(aside, self._path(number))

    def _path(self, number: int) -> Path:
        return self._folder / f"part-{number:06d}.{self._plan.form}"

    def _found(self) -> dict[str, Any] | None:
        try:
            text = (self._folder / PLAN).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            return Plan.model_validate_json(text).model_dump(by_alias=True)
        except ValidationError:
            return {"plan": text[:100]}

    def _differences(self, found: dict[str, Any]) -> str:
        wanted = self._plan.model_dump(by_alias=True)
        return ", ".join(
            f"its {name} is {found.get(name)}, not {value}"
            for name, value in wanted.items()
            if found.get(name) != value
        )


def _write_aside(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.aside")
    aside.write_bytes(content)
    _publish(aside, path)


def _publish(aside: Path, path: Path) -> None:
    """Give a file its name once it is on the disk, so that a crash leaves all of it or nothing."""
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(path)
