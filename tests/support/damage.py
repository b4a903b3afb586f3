"""What happens to files on disks that are not to be trusted."""

from collections.abc import Callable, Mapping
from pathlib import Path

from embedplane_server.store.entries import Entry, stored_files


def flip(file: Path) -> None:
    """Change one bit of the last digit of a file, which is valid whatever it says then; else of its middle byte."""
    content = bytearray(file.read_bytes())
    digits = [place for place, byte in enumerate(content) if chr(byte) in "02468"]
    place = digits[-1] if file.suffix == ".json" and digits else len(content) // 2
    content[place] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    """Keep the first half of a file."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def _largest(entry: Path) -> Path:
    return max((path for path in entry.rglob("*") if path.parent != entry and path.is_file()), key=_size)


def _size(path: Path) -> int:
    return path.stat().st_size


DAMAGES: Mapping[str, Callable[[Path], None]] = {
    "a flipped bit": lambda entry: flip(_largest(entry)),
    "a truncated file": lambda entry: cut(_largest(entry)),
    "a deleted file": lambda entry: _largest(entry).unlink(),
    "a truncated manifest": lambda entry: cut(entry / "manifest.json"),
    "a flipped bit in a manifest": lambda entry: flip(entry / "manifest.json"),
}
"""What can be done to the folder of an entry."""


def with_digests_made_anew(entry: Path) -> None:
    """Let the manifest of an entry fit whatever its files hold now."""
    manifest = entry / "manifest.json"
    known = Entry.model_validate_json(manifest.read_bytes())
    files = stored_files(entry / known.folder, known.files)
    manifest.write_text(known.model_copy(update={"files": files}).sealed().model_dump_json())
