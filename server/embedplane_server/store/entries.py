"""What an entry of the store is: the files it holds with their digests, and what its writer says about them."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

MANIFEST = "manifest.json"
FOLDER = r"files-[0-9a-f]{16}"
"""What folders of entries are called."""


class StoredFile(BaseModel):
    """One file of an entry."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    size: int


class Entry(BaseModel):
    """The content of an entry's `manifest.json`; the entry exists when this file does."""

    model_config = ConfigDict(frozen=True)

    folder: str
    """Folder inside the entry that holds the files of the writer who was first."""
    files: dict[str, StoredFile]
    about: dict[str, Any]
    """What the writer says: a description, measurements, where it came from."""
    seal: str = ""
    """sha256 over the above, so that damage to the manifest itself shows; empty in entries of earlier versions."""

    def sealed(self) -> Self:
        """Return the entry with its seal."""
        return self.model_copy(update={"seal": self._seal()})

    @property
    def is_whole(self) -> bool:
        """False when something in the manifest is not as it was written."""
        return self.seal in ("", self._seal())

    def _seal(self) -> str:
        content = json.loads(self.model_dump_json(exclude={"seal"}))
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def digest(self) -> str:
        """sha256 over names and digests of the files."""
        return digest_of({name: file.sha256 for name, file in self.files.items()})

    @property
    def size_bytes(self) -> int:
        return sum(file.size for file in self.files.values())


def read_entry(manifest: bytes) -> Entry | None:
    """Return the entry of a manifest, None when it cannot be read or is not as it was written."""
    try:
        entry = Entry.model_validate_json(manifest)
    except ValidationError:
        return None
    return entry if entry.is_whole else None


def digest_of(sha256_by_name: Mapping[str, str]) -> str:
    """Return one digest for a set of files."""
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(sha256_by_name.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def stored_file(path: Path) -> StoredFile:
    """Hash a local file."""
    with path.open("rb") as file:
        return StoredFile(sha256=hashlib.file_digest(file, "sha256").hexdigest(), size=path.stat().st_size)


def stored_files(folder: Path, paths: Collection[str]) -> dict[str, StoredFile]:
    """Hash files of a folder; those that are missing are left out."""
    return {path: stored_file(folder / path) for path in sorted(paths) if (folder / path).is_file()}


def files_below(folder: Path) -> list[str]:
    """Return the paths of all files below a folder, relative to it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
