"""What a store goes through when disks, networks and processes fail in the middle of a write."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from embedplane_server.errors import StepError, TransientError, TransientReason
from embedplane_server.store import Store, files_below, open_store
from embedplane_server.store.entries import Entry
from embedplane_server.store.objects import Objects
from embedplane_server.store.quarantine import Quarantine

NAME = "exports/ex1-0"


class About(BaseModel):
    texts: int


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path) -> Store:
    return open_store({"file": f"file://{tmp_path}/store", "memory": "memory:///"}[request.param], tmp_path / "copies")


@pytest.fixture
def file_store(tmp_path) -> Store:
    return open_store(f"file://{tmp_path}/store")


@pytest.fixture
def source(tmp_path) -> Path:
    (tmp_path / "source/sub").mkdir(parents=True)
    (tmp_path / "source/graph").write_text("a graph")
    (tmp_path / "source/sub/weights").write_text("many weights")
    return tmp_path / "source"


async def publish(store: Store, source: Path, texts: int = 1):
    return await store.publish(NAME, source, files_below(source), {"texts": texts})


async def content(store: Store) -> str:
    return (await store.local_directory(NAME) / "graph").read_text()


def left_behind(store: Store) -> list[str]:
    """All files but the marks of those who use entries."""
    assert store.root is not None
    return [path for path in files_below(store.root) if not path.startswith("uses/")]


async def test_files_and_folders_are_on_the_disk_before_the_manifest_exists(file_store, source, monkeypatch):
    synced: dict[bool, set[str]] = {False: set(), True: set()}
    root, really = file_store.root, os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced[(root / NAME / "manifest.json").exists()].add(str(path.relative_to(root)))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    entry = await publish(file_store, source)
    files = f"{NAME}/{entry.folder}"
    assert synced[False] == {f"{files}/graph", f"{files}/sub/weights", files, f"{files}/sub", NAME, "exports", "."}
    assert synced[True] >= {f"{NAME}/manifest.json", NAME}


async def test_a_disk_that_fails_leaves_no_entry_and_no_files(file_store, source, monkeypatch):
    def fsync(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(TransientError, match="Input/output error") as caught:
        await publish(file_store, source)
    assert caught.value.reason == TransientReason.STORE_UNAVAILABLE
    assert left_behind(file_store) == []


async def test_a_file_system_that_keeps_no_folders_back_is_no_failure(file_store, source, monkeypatch):
    really = os.fsync

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    await publish(file_store, source)
    assert await content(file_store) == "a graph"


async def test_a_write_that_fails_halfway_leaves_nothing_behind(file_store, source, monkeypatch):
    really = Objects.upload

    async def upload(self: Objects, path: str, file: Path) -> None:
        if path.endswith("weights"):
            raise TransientError(TransientReason.STORE_UNAVAILABLE, "no room")
        await really(self, path, file)

    monkeypatch.setattr(Objects, "upload", upload)
    with pytest.raises(TransientError, match="no room"):
        await publish(file_store, source)
    assert left_behind(file_store) == []


async def test_a_publish_that_is_cancelled_leaves_nothing_behind(file_store, source, monkeypatch):
    begun = asyncio.Event()

    async def upload(self: Objects, path: str, file: Path) -> None:
        begun.set()
        await asyncio.Event().wait()

    (file_store.root / NAME).mkdir(parents=True)
    monkeypatch.setattr(Objects, "upload", upload)
    task = asyncio.create_task(publish(file_store, source))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_behind(file_store) == []


async def test_a_writer_whose_own_manifest_is_said_to_exist_already_keeps_its_files(store, source, monkeypatch):
    really = Objects.create

    async def create(self: Objects, path: str, manifest: bytes) -> bool:
        await really(self, path, manifest)
        return False  # the answer to the first try was lost, and the second met what the first had made

    monkeypatch.setattr(Objects, "create", create)
    entry = await publish(store, source)
    assert await store.find(NAME) == entry
    assert await content(store) == "a graph"


async def test_a_manifest_whose_writing_is_not_known_to_have_failed_keeps_its_files(store, source, monkeypatch):
    really = Objects.create

    async def create(self: Objects, path: str, manifest: bytes) -> bool:
        await really(self, path, manifest)
        raise TransientError(TransientReason.STORE_UNAVAILABLE, "timed out")

    monkeypatch.setattr(Objects, "create", create)
    with pytest.raises(TransientError, match="timed out"):
        await publish(store, source)
    monkeypatch.undo()
    assert await content(store) == "a graph"
    assert (await publish(store, source, texts=2)).about == {"texts": 1}


async def test_a_manifest_that_exists_before_it_can_be_read_stays_its_writers(store, source, monkeypatch):
    """As it is on Versity's gateway for the moment between an object's attributes and its bytes."""
    others = Entry(folder="files-of-another", files={}, about={"texts": 7}).sealed()
    create, read = Objects.create, Objects.read

    async def exists(self: Objects, path: str, manifest: bytes) -> bool:
        monkeypatch.setattr(Objects, "create", create)
        monkeypatch.setattr(Objects, "read", read_just_before_it_is_there)
        return False

    async def read_just_before_it_is_there(self: Objects, path: str) -> bytes | None:
        found = await read(self, path)
        await self.create(path, others.model_dump_json().encode())
        return found

    monkeypatch.setattr(Objects, "create", exists)
    entry = await publish(store, source)
    assert entry == others
    assert await store.find(NAME) == others


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b'{"folder": 1}'])
async def test_a_manifest_that_cannot_be_read_is_replaced(store, source, damage):
    await store.write(f"{NAME}/manifest.json", damage)
    assert await store.find(NAME) is None
    entry = await publish(store, source)
    assert await store.find(NAME) == entry
    assert await content(store) == "a graph"


async def test_an_entry_that_says_something_else_is_made_again(store, source):
    await store.publish(NAME, source, files_below(source), {"unexpected": True})
    assert await store.find_about(NAME, About) is None
    assert await store.find_intact(NAME, About) is None
    await publish(store, source, texts=5)
    found = await store.find_intact(NAME, About)
    assert found is not None
    assert found.about == About(texts=5)
    assert (found.directory / "graph").read_text() == "a graph"


async def test_an_entry_with_a_damaged_file_is_made_again(file_store, source):
    first = await publish(file_store, source)
    (await file_store.local_directory(NAME) / "graph").write_text("otherwise")
    assert await file_store.find_intact(NAME, About) is None
    second = await publish(file_store, source)
    assert await content(file_store) == "a graph"
    assert second.folder != first.folder
    entry = [Path(path).parts[2] for path in left_behind(file_store) if path.startswith(NAME)]
    assert set(entry) == {second.folder, "manifest.json"}


async def test_an_entry_that_another_writer_has_made_again_stays(store, source, monkeypatch):
    await store.publish(NAME, source, files_below(source), {"unexpected": True})
    really = Quarantine.take

    async def take(self: Quarantine, *damaged: Any) -> None:
        monkeypatch.undo()
        await really(self, *damaged)
        await publish(store, source, texts=5)  # another writer, who found the damage first
        await really(self, *damaged)

    monkeypatch.setattr(Quarantine, "take", take)
    assert await store.find_intact(NAME, About) is None
    assert await content(store) == "a graph"
    assert len(await store.names("quarantine")) == 1


async def test_a_store_that_is_out_of_reach_removes_nothing(file_store, source, monkeypatch):
    await publish(file_store, source)

    async def read(self: Objects, path: str) -> bytes:
        raise TransientError(TransientReason.STORE_UNAVAILABLE, "stale file handle")

    with monkeypatch.context() as broken:
        broken.setattr(Objects, "read", read)
        with pytest.raises(StepError, match="stale file handle"):
            await file_store.find_intact(NAME, About)
    assert await content(file_store) == "a graph"
