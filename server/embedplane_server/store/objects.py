"""Named bytes over obstore: what every kind of store does alike. Knows no entries.

Whatever was written is on the disk when a call returns, and foreign exceptions are `StoreUnavailable` from here on.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import ObjectStore

from embedplane_server.errors import TransientError, TransientReason
from embedplane_server.store.answers import Meaning, is_absent, meaning_of, told
from embedplane_server.store.durability import settle
from embedplane_server.store.remote import CredentialsError, is_remote

_REMEDIES = {
    Meaning.DENIED: "Give the Secret that store.secrets of the Helm values names valid credentials with rights to it, "
    "or the pods' ServiceAccounts these rights.",
    Meaning.NO_BUCKET: "Create the bucket, or correct store.url of the Helm values.",
    Meaning.ELSEWHERE: "Set store.region of the Helm values to the bucket's region.",
    Meaning.UNREACHABLE: "Check store.url and store.endpoint of the Helm values, DNS, and networkPolicy.storeEgress.",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing tells of it."""

    path: str
    modified: datetime
    size: int


class Objects:
    """Objects by path."""

    def __init__(self, objects: ObjectStore, url: str, root: Path | None) -> None:
        self._objects = objects
        self._url = url
        self._root = root

    async def read(self, path: str) -> bytes | None:
        """Return a small object's content, None when it does not exist."""
        async with self._translated(f"read {path}"):
            try:
                found = await obstore.get_async(self._objects, path)
                return bytes(await found.bytes_async())
            except FileNotFoundError as error:
                if is_absent(error):
                    return None
                raise

    async def create(self, path: str, content: bytes) -> bool:
        """Write a small object unless it exists; False when it does, maybe by an earlier try of this very call."""
        async with self._translated(f"write {path}"):
            try:
                await obstore.put_async(self._objects, path, content, mode="create")
            except AlreadyExistsError:
                return False
            await self._settle(path)
            return True

    async def write(self, path: str, content: bytes) -> None:
        """Write a small object, whatever was there."""
        async with self._translated(f"write {path}"):
            await obstore.put_async(self._objects, path, content)
            await self._settle(path)

    async def upload(self, path: str, source: Path) -> None:
        """Write a file of any size."""
        async with self._translated(f"write {path}"):
            await obstore.put_async(self._objects, path, source)
            await self._settle(path)

    async def download(self, path: str, target: Path) -> None:
        """Bring an object of any size into a file; one that does not exist leaves none."""
        target.parent.mkdir(parents=True, exist_ok=True)
        async with self._translated(f"read {path}"):
            try:
                found = await obstore.get_async(self._objects, path)
            except FileNotFoundError as error:
                if is_absent(error):
                    return
                raise
            with target.open("wb") as output:
                async for chunk in found.stream():
                    output.write(chunk)

    async def remove(self, path: str) -> None:
        """Remove an object; one that is not there is no error."""
        async with self._translated(f"remove {path}"):
            if self._root is not None:  # the library does not see its own half-written files
                await asyncio.to_thread(_unlink, self._root, path)
                return
            with suppress(FileNotFoundError):
                await obstore.delete_async(self._objects, path)

    async def remove_below(self, folder: str) -> None:
        """Remove everything below a folder, what a broken write left half done as well."""
        async with self._translated(f"clean up {folder}"):
            if self._root is not None:
                await asyncio.to_thread(shutil.rmtree, self._root / folder, ignore_errors=True)
                await asyncio.to_thread(_remove_empty, self._root, self._root / folder)
                return
            listed = await obstore.list(self._objects, folder + "/").collect_async()
            await obstore.delete_async(self._objects, [each["path"] for each in listed])

    async def move(self, path: str, target: str) -> bool:
        """Give an object another name; False when it is not there."""
        async with self._translated(f"move {path}"):
            try:
                await obstore.rename_async(self._objects, path, target)
            except FileNotFoundError:
                return False
            return True

    async def move_below(self, folder: str, target: str) -> None:
        """Give everything below a folder other names; a folder that is not there is no error."""
        async with self._translated(f"move {folder}"):
            if self._root is not None:
                await asyncio.to_thread(_move_folder, self._root / folder, self._root / target)
                return
            listed = await obstore.list(self._objects, folder + "/").collect_async()
        for each in listed:
            path = str(each["path"])
            await self.move(path, target + path.removeprefix(folder))

    async def names(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below a prefix."""
        async with self._translated(f"list {prefix}"):
            listed = await obstore.list_with_delimiter_async(self._objects, prefix.rstrip("/") + "/")
        return sorted(str(path).rpartition("/")[2] for path in listed["common_prefixes"])

    async def listed(self, prefix: str) -> list[Listed]:
        """Return everything below a prefix, in a file store also what a broken write left half done."""
        async with self._translated(f"list {prefix}"):
            if self._root is not None:
                return await asyncio.to_thread(_files_below, self._root, prefix)
            found = await obstore.list(self._objects, prefix + "/").collect_async()
        return [Listed(str(each["path"]), each["last_modified"], each["size"]) for each in found]

    async def modified(self, path: str) -> datetime | None:
        """Return when an object was written last, None when it does not exist.

        It is opened for that: a file system over the network may tell old news of a file that is only looked at.
        """
        async with self._translated(f"look at {path}"):
            try:
                return (await obstore.get_async(self._objects, path)).meta["last_modified"]
            except FileNotFoundError as error:
                if is_absent(error):
                    return None
                raise

    async def _settle(self, path: str) -> None:
        if self._root is not None:
            await asyncio.to_thread(settle, self._root, path)

    @asynccontextmanager
    async def _translated(self, action: str) -> AsyncIterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise unavailable(self._url, f"cannot {action}", error) from error


def _move_folder(folder: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        folder.rename(target)
    with suppress(OSError):  # something else is in it
        folder.parent.rmdir()


def _unlink(root: Path, path: str) -> None:
    (root / path).unlink(missing_ok=True)
    _remove_empty(root, root / path)


def _remove_empty(root: Path, gone: Path) -> None:
    with suppress(OSError):  # something else is in it
        for folder in gone.parents:
            if folder == root:
                break
            folder.rmdir()


def _files_below(root: Path, prefix: str) -> list[Listed]:
    found = []
    for folder, _, names in os.walk(root / prefix, onerror=_raise_unless_gone):
        for path in (Path(folder, name) for name in names):
            with suppress(FileNotFoundError):  # it went while we looked
                about = path.stat()
                modified = datetime.fromtimestamp(about.st_mtime, UTC)
                found.append(Listed(path.relative_to(root).as_posix(), modified, about.st_size))
    return found


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def unavailable(url: str, problem: str, error: Exception) -> TransientError:
    """Return the error for a store that does not do what it is asked for."""
    if not is_remote(url):
        remedy = "Check that it is mounted, writable and has room."
    else:
        remedy = _REMEDIES[Meaning.DENIED if isinstance(error, CredentialsError) else meaning_of(error)]
    return TransientError(
        TransientReason.STORE_UNAVAILABLE, f"the store {url} cannot be used: {problem} ({told(error)}). {remedy}"
    )
