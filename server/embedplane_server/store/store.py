"""The artifact store over obstore: a folder, S3, GCS or Azure by URL. It knows entries, not what they mean.

Writers are safe side by side: each writes its files into a folder of its own inside the entry and then tries to create
`manifest.json`; the first one wins, the others drop their files and use the winner's. Readers check digests. What is
damaged does not exist for those who can make it again: they set it aside (`quarantine.py`) and replace it.
"""

import asyncio
import logging
import secrets
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import from_url
from pydantic import BaseModel, ValidationError

from embedplane_server.errors import TransientError, TransientReason
from embedplane_server.store.collection import Collected, Collector, Kept, mark_of
from embedplane_server.store.entries import MANIFEST, Entry, StoredFile, read_entry, stored_files
from embedplane_server.store.objects import Listed, Objects, unavailable
from embedplane_server.store.quarantine import DamagedEntry, Quarantine
from embedplane_server.store.remote import connect, is_remote, read_place

DOWNLOADS_AT_ONCE = 4
PAUSES_OF_A_CLAIM = (0.05, 0.2, 1, 5)
"""Seconds, in which a manifest that is said to exist comes into sight; then it is taken for a leftover."""

Content = TypeVar("Content", bound=BaseModel)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lost:
    """What those say who need an entry that is not there, or not as its writer left it."""

    missing: TransientReason
    words: str
    damaged: TransientReason
    again: str
    """What becomes of a damaged one."""


@dataclass(frozen=True, slots=True)
class Intact(Generic[Content]):
    """An entry whose manifest can be read, with its files, checked, in a local folder."""

    about: Content
    entry: Entry
    directory: Path


class Store:
    """Entries by name, for example `models/<digest>` or `engines/<key>/<variant>`."""

    def __init__(self, objects: Objects, url: str, root: Path | None, downloads: Path) -> None:
        self._objects = objects
        self._url = url
        self._downloads = downloads
        self.root = root
        """The folder of a file store, None for an object store."""
        self.quarantine = Quarantine(objects)

    async def find(self, name: str) -> Entry | None:
        """Return an entry, None when it does not exist or its manifest cannot be read."""
        content = await self._objects.read(f"{name}/{MANIFEST}")
        entry = None if content is None else read_entry(content)
        if content is not None and entry is None:
            logger.warning("the %s of %s cannot be read: it is made again", MANIFEST, name)
        return entry

    async def has_manifest(self, name: str) -> bool:
        """Say whether there is a manifest, be it one that cannot be read."""
        return await self._objects.read(f"{name}/{MANIFEST}") is not None

    async def find_about(self, name: str, model: type[Content]) -> tuple[Content, Entry] | None:
        """Return what an entry's writer says, as a model, and the entry; None as `find`."""
        entry = await self.find(name)
        try:
            return None if entry is None else (self.about(name, entry, model), entry)
        except TransientError as error:
            logger.warning("%s", error.message)
            return None

    async def find_intact(
        self, name: str, model: type[Content], needed: Callable[[str], bool] = lambda _: True
    ) -> Intact[Content] | None:
        """Return an entry with its files in a local folder; a damaged one is set aside, for those who make it again.

        `needed` as in `local_directory`.
        """
        if not await self.has_manifest(name):
            return None
        await self._objects.write(mark_of(name), b"")
        manifest = await self._objects.read(f"{name}/{MANIFEST}")
        if manifest is None:
            return None  # a collection was faster
        entry = read_entry(manifest)
        try:
            return await self._intact(name, entry, model, needed)
        except DamagedEntry as error:
            await self.quarantine.take(name, manifest, entry, error.problem)
            return None

    async def set_aside(self, name: str, problem: str) -> None:
        """Take an entry out of the way that its reader can do nothing with; another one may then be published."""
        if (manifest := await self._objects.read(f"{name}/{MANIFEST}")) is not None:
            await self.quarantine.take(name, manifest, read_entry(manifest), problem)

    async def _intact(
        self, name: str, entry: Entry | None, model: type[Content], needed: Callable[[str], bool]
    ) -> Intact[Content]:
        if entry is None:
            raise DamagedEntry(name, self._url, f"its {MANIFEST} cannot be read")
        return Intact(self.about(name, entry, model), entry, await self.local_directory(name, entry, needed))

    async def need_intact(self, name: str, model: type[Content], lost: Lost) -> Intact[Content]:
        """Return an entry as `find_intact` does; without it the step that makes it has to run again."""
        found = await self.find_intact(name, model)
        if put := self.quarantine.of(name):
            raise TransientError(lost.damaged, f"{put.told}. {lost.again}")
        if found is None:
            raise TransientError(lost.missing, lost.words)
        return found

    async def use(self, name: str) -> Entry | None:
        """Say that an entry is about to be used, so that no collection takes it; None when one was faster."""
        await self._objects.write(mark_of(name), b"")
        return await self.find(name)

    async def collect(self, kept: Kept) -> Collected:
        """Remove what nobody uses, see `collection.py`."""
        return await Collector(self._objects, kept).run()

    def about(self, name: str, entry: Entry, model: type[Content]) -> Content:
        """Return what an entry's writer says, as a model."""
        try:
            return model.model_validate(entry.about)
        except ValidationError as error:
            raise DamagedEntry(name, self._url, f"its {MANIFEST} cannot be read") from error

    async def publish(self, name: str, folder: Path, paths: Collection[str], about: Mapping[str, Any]) -> Entry:
        """Store files of a folder as an entry and return the entry as it then is, possibly another writer's."""
        if await self.find(name) is not None and (existing := await self.use(name)) is not None:
            return existing
        files = await asyncio.to_thread(stored_files, folder, paths)
        entry = Entry(folder=f"files-{secrets.token_hex(8)}", files=files, about=dict(about)).sealed()
        try:
            for path in paths:
                await self._objects.upload(f"{name}/{entry.folder}/{path}", folder / path)
            published = await self._claim(name, entry)
        except BaseException:
            with suppress(TransientError):  # a store that is out of reach cannot be cleaned up
                await self._drop_unless_named(name, entry)
            raise
        if published.folder != entry.folder:
            await self._objects.remove_below(f"{name}/{entry.folder}")
        return published

    async def local_directory(
        self, name: str, entry: Entry | None = None, needed: Callable[[str], bool] = lambda _: True
    ) -> Path:
        """Return a local folder with an entry's files, checked: in place for file stores, else downloaded.

        Only `needed` files are downloaded.
        """
        known = entry if entry is not None else await self.find(name)
        if known is None:
            raise DamagedEntry(name, self._url, "it does not exist")
        directory = (self.root or self._downloads) / name / known.folder
        files = {path: file for path, file in known.files.items() if self.root is not None or needed(path)}
        wrong = await _difference(files, directory)
        if wrong and self.root is None:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
            await self._download(f"{name}/{known.folder}", files, directory)
            wrong = await _difference(files, directory)
        if wrong:
            raise DamagedEntry(name, self._url, f"{wrong} is missing or differs from its digest")
        return directory

    async def _download(self, folder: str, paths: Collection[str], directory: Path) -> None:
        turns = asyncio.Semaphore(DOWNLOADS_AT_ONCE)

        async def bring(path: str) -> None:
            async with turns:
                await self._objects.download(f"{folder}/{path}", directory / path)

        await asyncio.gather(*map(bring, paths))

    async def remove(self, name: str) -> None:
        """Remove an entry, its manifest first, so that nobody finds half of it."""
        entry = await self.find(name)
        await self._objects.remove(f"{name}/{MANIFEST}")
        if entry is not None:
            await self._objects.remove_below(f"{name}/{entry.folder}")

    async def names(self, prefix: str) -> list[str]:
        """Return the names of the entries and documents directly below a prefix."""
        return await self._objects.names(prefix)

    async def listed(self, prefix: str) -> list[Listed]:
        """Return all documents below a prefix."""
        return await self._objects.listed(prefix)

    async def remove_document(self, path: str) -> None:
        """Remove a document; one that is not there is no error."""
        await self._objects.remove(path)

    async def read(self, path: str) -> bytes | None:
        """Return a document's content, None when it does not exist."""
        return await self._objects.read(path)

    async def write(self, path: str, content: bytes) -> None:
        """Write a document, whatever was there."""
        await self._objects.write(path, content)

    async def _claim(self, name: str, entry: Entry) -> Entry:
        """Let an entry exist unless another writer's does already, and return the one that does."""
        path, manifest = f"{name}/{MANIFEST}", entry.model_dump_json(indent=1).encode()
        for pause in PAUSES_OF_A_CLAIM:
            if await self._objects.create(path, manifest):
                return entry
            # What exists may be our own: an answer was lost, and the library or the file system asked again.
            if (content := await self._objects.read(path)) is not None:
                if (found := read_entry(content)) is not None:
                    return found
                break
            # Another writer's is about to be seen, or was just collected.
            await asyncio.sleep(pause)
        await self._objects.write(path, manifest)
        found = await self.find(name)
        return found if found is not None else entry

    async def _drop_unless_named(self, name: str, entry: Entry) -> None:
        found = await self.find(name)
        if found is None or found.folder != entry.folder:
            await self._objects.remove_below(f"{name}/{entry.folder}")


def open_store(url: str, downloads: Path | None = None) -> Store:
    """Open the store at a URL; `downloads` takes the entries of object stores (default: in the temp folder).

    The URL of an object store says how it is reached, see `remote.py`.
    """
    cache = downloads or Path(tempfile.gettempdir()) / "embedplane-store"
    try:
        if is_remote(url):
            place = read_place(url)
            return Store(Objects(connect(place), str(place), None), str(place), None, cache)
        if urlsplit(url).scheme != "file":
            return Store(Objects(from_url(url), url, None), url, None, cache)
        root = Path(unquote(urlsplit(url).path))
        # A reader's store is mounted read-only: the folder is there and is not made.
        root.mkdir(parents=True, exist_ok=True)
        root = root.resolve()
        return Store(Objects(from_url(url, automatic_cleanup=True), url, root), url, root, cache)
    except (BaseError, OSError, ValueError) as error:
        raise unavailable(url, "cannot open it", error) from error


async def _difference(files: Mapping[str, StoredFile], directory: Path) -> str | None:
    """Return a file that a folder has not, or has otherwise."""
    found = await asyncio.to_thread(stored_files, directory, files.keys())
    return next((name for name, file in files.items() if found.get(name) != file), None)
