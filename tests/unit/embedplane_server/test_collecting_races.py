"""Collections of a real folder, beside processes that find, use and write its entries: nobody loses anything."""

import asyncio
import multiprocessing
import time
from datetime import UTC, datetime, timedelta

import pytest

from embedplane_server.errors import TransientError
from embedplane_server.sources import ModelAbout
from embedplane_server.store import Kept, open_store

GRACE = 1.0
"""Seconds; a use is shorter by far."""
ROUNDS = 8
NAMES = [f"models/{number:064x}" for number in range(2)]


def use_entries(url, folder, name, uses):
    """Find an entry, or make it, and hold that all of it is there for as long as it is used; then forget it."""

    async def use():
        store = open_store(url)
        for number in range(ROUNDS):
            found = await store.find_intact(name, ModelAbout)
            if found is None:
                await store.publish(name, folder, ["one", "two"], {"commit": "c"})
                uses.append("made")
                continue
            since = time.monotonic()
            while time.monotonic() - since < GRACE / 4:
                assert (found.directory / "one").read_text() == "1"
                assert (found.directory / "two").read_text() == "2"
            uses.append("used")
            await asyncio.sleep((GRACE / 4, GRACE * 1.5)[number % 2])

    asyncio.run(use())


def collect_until(url, done, removed):
    async def collect():
        store = open_store(url)
        while not done.is_set():
            cutoff = datetime.now(UTC) - timedelta(seconds=GRACE)
            found = await store.collect(Kept(frozenset(), cutoff))
            removed.append(found.removed["models"])

    asyncio.run(collect())


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "one").write_text("1")
    (source / "two").write_text("2")
    return source


def test_whoever_found_an_entry_keeps_it_while_collections_run(tmp_path, folder):
    url = f"file://{tmp_path}/store"
    with multiprocessing.get_context("spawn").Manager() as shared:
        uses, removed, done = shared.list(), shared.list(), shared.Event()
        context = multiprocessing.get_context("spawn")
        users = [context.Process(target=use_entries, args=(url, folder, name, uses)) for name in NAMES * 2]
        collectors = [context.Process(target=collect_until, args=(url, done, removed)) for _ in range(2)]
        for process in (*users, *collectors):
            process.start()
        for process in users:
            process.join(90)
        done.set()
        for process in collectors:
            process.join(30)

        assert [process.exitcode for process in (*users, *collectors)] == [0] * len((*users, *collectors))
        assert sum(removed) > 0
        assert {"made", "used"} == set(uses)


async def test_what_is_written_slowly_is_whole_in_the_end(tmp_path, folder, monkeypatch):
    store, other = (open_store(f"file://{tmp_path}/store") for _ in range(2))
    upload = type(store._objects).upload

    async def slowly(self, path, source):
        await asyncio.sleep(GRACE / 5)
        await upload(self, path, source)

    monkeypatch.setattr(type(store._objects), "upload", slowly)
    names = [f"part-{number}" for number in range(12)]
    for name in names:
        (folder / name).write_text(name)

    async def collect():
        while True:
            await other.collect(Kept(frozenset(), datetime.now(UTC) - timedelta(seconds=GRACE)))
            await asyncio.sleep(0)

    collecting = asyncio.create_task(collect())
    await store.publish(NAMES[0], folder, names, {"commit": "c"})
    found = await store.find_intact(NAMES[0], ModelAbout)
    collecting.cancel()

    assert found is not None
    assert sorted(path.name for path in found.directory.iterdir()) == names or len(names) == len(found.entry.files)


async def test_an_entry_that_is_made_again_while_it_is_removed_is_whole(tmp_path, folder, monkeypatch):
    store = open_store(f"file://{tmp_path}/store")
    await store.publish(NAMES[0], folder, ["one", "two"], {"commit": "c"})
    remove_below = type(store._objects).remove_below

    async def made_again_first(self, place):
        monkeypatch.undo()
        await store.publish(NAMES[0], folder, ["one", "two"], {"commit": "c"})
        await remove_below(self, place)

    monkeypatch.setattr(type(store._objects), "remove_below", made_again_first)
    done = await store.collect(Kept(frozenset(), datetime.now(UTC) + timedelta(seconds=1)))

    assert done.removed["models"] == 1
    try:
        assert (await store.local_directory(NAMES[0]) / "one").read_text() == "1"
    except TransientError as error:
        raise AssertionError(error.message) from error
