"""The artifact store over obstore: a folder, S3, GCS or Azure by URL. It knows entries, not what they mean.

Writers are safe side by side: each writes its files into a folder of its own inside the entry and then tries to create
`manifest.json`; the first one wins, the others drop their files and use the winner's. Readers check digests.
"""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import ObjectStore, from_url
from pydantic import BaseModel, ValidationError

from embedplane_server.errors import TransientError, TransientReason
from embedplane_server.store.entries import Entry, StoredFile, stored_files

MANIFEST = "manifest.json"

Content = TypeVar("Content", bound=BaseModel)


class Store:
    """Entries by name, for example `models/<digest>` or `engines/<key>/<variant>`."""

    def __init__(self, objects: ObjectStore, url: str, root: Path | None, downloads: Path) -> None:
        self._objects = objects
        self._url = url
        self._downloads = downloads
        self.root = root
        """The folder of a file store, None for an object store."""

    async def find(self, name: str) -> Entry | None:
        """Return an entry, None when it does not exist."""
        content = await self.read(f"{name}/{MANIFEST}")
        try:
            return None if content is None else Entry.model_validate_json(content)
        except ValidationError as error:
            raise self._damaged(name, f"its {MANIFEST} cannot be read") from error

    async def find_about(self, name: str, model: type[Content]) -> tuple[Content, Entry] | None:
        """Return what an entry's writer says, as a model, and the entry."""
        entry = await self.find(name)
        return None if entry is None else (self.about(name, entry, model), entry)

    def about(self, name: str, entry: Entry, model: type[Content]) -> Content:
        """Return what an entry's writer says, as a model."""
        try:
            return model.model_validate(entry.about)
        except ValidationError as error:
            raise self._damaged(name, f"its {MANIFEST} cannot be read") from error

    async def publish(self, name: str, folder: Path, paths: Collection[str], about: Mapping[str, Any]) -> Entry:
        """Store files of a folder as an entry and return the entry as it then is, possibly another writer's."""
        if (existing := await self.find(name)) is not None:
            return existing
        files = await asyncio.to_thread(stored_files, folder, paths)
        entry = Entry(folder=f"files-{secrets.token_hex(8)}", files=files, about=dict(about))
        for path in paths:
            await self._put_file(f"{name}/{entry.folder}/{path}", folder / path)
        if await self.create(f"{name}/{MANIFEST}", entry.model_dump_json(indent=1).encode()):
            return entry
        await self._remove_files(name, entry)
        winner = await self.find(name)
        return winner if winner is not None else await self.publish(name, folder, paths, about)

    async def local_directory(self, name: str, entry: Entry | None = None) -> Path:
        """Return a local folder with an entry's files, checked: in place for file stores, else downloaded."""
        known = entry if entry is not None else await self.find(name)
        if known is None:
            raise self._damaged(name, "it does not exist")
        if self.root is not None:
            directory = self.root / name / known.folder
        else:
            directory = self._downloads / name / known.folder
            await self._download(name, known, directory)
        await self._check(name, known, directory)
        return directory

    async def remove(self, name: str) -> None:
        """Remove an entry, its manifest first, so that nobody finds half of it."""
        entry = await self.find(name)
        if entry is not None:
            async with self._translated(f"remove {name}"):
                await obstore.delete_async(self._objects, f"{name}/{MANIFEST}")
            await self._remove_files(name, entry)

    async def names(self, prefix: str) -> list[str]:
        """Return the names of the entries and documents directly below a prefix."""
        async with self._translated(f"list {prefix}"):
            listed = await obstore.list_with_delimiter_async(self._objects, prefix.rstrip("/") + "/")
        return sorted(str(path).rpartition("/")[2] for path in listed["common_prefixes"])

    async def read(self, path: str) -> bytes | None:
        """Return a small object's content, None when it does not exist."""
        async with self._translated(f"read {path}"):
            try:
                found = await obstore.get_async(self._objects, path)
                return bytes(await found.bytes_async())
            except FileNotFoundError:
                return None

    async def create(self, path: str, content: bytes) -> bool:
        """Write a small object unless it exists; True when this call wrote it."""
        async with self._translated(f"write {path}"):
            try:
                await obstore.put_async(self._objects, path, content, mode="create")
            except AlreadyExistsError:
                return False
            return True

    async def _put_file(self, path: str, source: Path) -> None:
        async with self._translated(f"write {path}"):
            await obstore.put_async(self._objects, path, source)

    async def _remove_files(self, name: str, entry: Entry) -> None:
        paths = [f"{name}/{entry.folder}/{path}" for path in entry.files]
        async with self._translated(f"clean up {name}"):
            await obstore.delete_async(self._objects, paths)

    async def _download(self, name: str, entry: Entry, directory: Path) -> None:
        for path, file in entry.files.items():
            target = directory / path
            if target.is_file() and target.stat().st_size == file.size:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            async with self._translated(f"read {name}/{path}"):
                found = await obstore.get_async(self._objects, f"{name}/{entry.folder}/{path}")
                with target.open("wb") as output:
                    async for chunk in found.stream():
                        output.write(chunk)

    async def _check(self, name: str, entry: Entry, directory: Path) -> None:
        found = await asyncio.to_thread(stored_files, directory, entry.files)
        if wrong := _first_difference(entry.files, found):
            raise self._damaged(name, f"{wrong} is missing or differs from its digest")

    def _damaged(self, name: str, problem: str) -> TransientError:
        return TransientError(
            TransientReason.DIGEST_MISMATCH,
            f"{name} in the store {self._url} is damaged: {problem}. Remove {name} there; it is then made again.",
        )

    @asynccontextmanager
    async def _translated(self, action: str) -> AsyncIterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise _unavailable(self._url, f"cannot {action}", error) from error


def open_store(url: str, downloads: Path | None = None) -> Store:
    """Open the store at a URL; `downloads` takes the entries of object stores (default: in the temp folder)."""
    cache = downloads or Path(tempfile.gettempdir()) / "embedplane-store"
    try:
        if urlsplit(url).scheme != "file":
            return Store(from_url(url), url, None, cache)
        root = Path(unquote(urlsplit(url).path))
        # A reader's store is mounted read-only: the folder is there and is not made.
        root.mkdir(parents=True, exist_ok=True)
        return Store(from_url(url, automatic_cleanup=True), url, root.resolve(), cache)
    except (BaseError, OSError, ValueError) as error:
        raise _unavailable(url, "cannot open it", error) from error


def _first_difference(wanted: Mapping[str, StoredFile], found: Mapping[str, StoredFile]) -> str | None:
    return next((name for name, file in wanted.items() if found.get(name) != file), None)


def _unavailable(url: str, problem: str, error: Exception) -> TransientError:
    cause = str(error).split("\n", 1)[0]
    return TransientError(
        TransientReason.STORE_UNAVAILABLE,
        f"the store {url} cannot be used: {problem} ({cause}). Check that it is mounted, writable and has room.",
    )
