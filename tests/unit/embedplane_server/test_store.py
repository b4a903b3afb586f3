"""The store: an entry exists when its manifest does, writers side by side are safe, digests are checked."""

import asyncio

import pytest

from embedplane_server.errors import TransientError
from embedplane_server.store import files_below, open_store


def folder_of(path, **files):
    for name, content in files.items():
        target = path / name.replace("__", "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return path


@pytest.fixture
def store(tmp_path):
    return open_store(f"file://{tmp_path}/store")


async def publish(store, name, folder, **about):
    return await store.publish(name, folder, files_below(folder), about)


async def test_a_published_entry_is_found_with_its_files(store, tmp_path):
    source = folder_of(tmp_path / "source", graph="g", sub__file="f")
    entry = await publish(store, "exports/ex1-0", source, texts=3)
    found = await store.find("exports/ex1-0")
    assert found == entry
    assert (found.about, found.size_bytes) == ({"texts": 3}, 2)
    directory = await store.local_directory("exports/ex1-0")
    assert (directory / "sub/file").read_text() == "f"


async def test_an_entry_without_its_manifest_does_not_exist(store, tmp_path):
    folder_of(tmp_path / "store/exports/ex1-0/files-1", graph="half written")
    assert await store.find("exports/ex1-0") is None


async def test_only_chosen_files_are_stored(store, tmp_path):
    source = folder_of(tmp_path / "source", wanted="w", other="o")
    await store.publish("models/d", source, ["wanted"], {})
    assert files_below(await store.local_directory("models/d")) == ["wanted"]


async def test_of_concurrent_writers_the_first_wins_and_nothing_else_stays(store, tmp_path):
    sources = [folder_of(tmp_path / f"source-{row}", graph=f"graph {row}") for row in range(8)]
    entries = await asyncio.gather(*(publish(store, "exports/ex1-0", s, row=r) for r, s in enumerate(sources)))
    assert len({entry.folder for entry in entries}) == 1
    directory = await store.local_directory("exports/ex1-0")
    assert (directory / "graph").read_text() == f"graph {entries[0].about['row']}"
    kept = sorted(path.name for path in (tmp_path / "store/exports/ex1-0").iterdir())
    assert kept == [entries[0].folder, "manifest.json"]


async def test_a_second_writer_gets_the_first_ones_entry(store, tmp_path):
    first = await publish(store, "exports/ex1-0", folder_of(tmp_path / "one", graph="1"))
    assert await publish(store, "exports/ex1-0", folder_of(tmp_path / "two", graph="2")) == first


@pytest.mark.parametrize("damage", ["change", "remove"])
async def test_a_damaged_file_is_noticed(store, tmp_path, damage):
    await publish(store, "exports/ex1-0", folder_of(tmp_path / "source", graph="good"))
    graph = (await store.local_directory("exports/ex1-0")) / "graph"
    if damage == "change":
        graph.write_text("evil")
    else:
        graph.unlink()
    with pytest.raises(TransientError, match=r"exports/ex1-0.*graph is missing or differs") as caught:
        await store.local_directory("exports/ex1-0")
    assert caught.value.reason == "DigestMismatch"


async def test_a_removed_entry_is_gone_and_can_be_written_again(store, tmp_path):
    source = folder_of(tmp_path / "source", graph="g")
    await publish(store, "exports/ex1-0", source)
    await store.remove("exports/ex1-0")
    assert await store.find("exports/ex1-0") is None
    assert (await publish(store, "exports/ex1-0", source)).files.keys() == {"graph"}


async def test_names_below_a_prefix_are_listed(store, tmp_path):
    source = folder_of(tmp_path / "source", graph="g")
    await publish(store, "engines/en1-0/b", source)
    await publish(store, "engines/en1-0/a", source)
    assert await store.names("engines/en1-0") == ["a", "b"]
    assert await store.names("engines/en1-1") == []


async def test_an_object_store_is_read_through_a_local_copy(tmp_path):
    store = open_store("memory:///", tmp_path / "downloads")
    await publish(store, "exports/ex1-0", folder_of(tmp_path / "source", graph="g", sub__file="f"))
    directory = await store.local_directory("exports/ex1-0")
    assert directory.is_relative_to(tmp_path / "downloads")
    assert files_below(directory) == ["graph", "sub/file"]


async def test_a_local_copy_that_is_damaged_is_brought_again(tmp_path):
    store = open_store("memory:///", tmp_path / "downloads")
    await publish(store, "exports/ex1-0", folder_of(tmp_path / "source", graph="good"))
    directory = await store.local_directory("exports/ex1-0")
    (directory / "graph").write_text("evil")
    assert (await store.local_directory("exports/ex1-0") / "graph").read_text() == "good"


async def test_a_small_document_is_the_last_one_written(store):
    await store.write("sources/a.json", b"1")
    await store.write("sources/a.json", b"2")
    assert await store.read("sources/a.json") == b"2"
    assert await store.read("sources/b.json") is None


@pytest.mark.parametrize("url", ["nonsense://x", "file:///proc/no-such-folder"])
def test_a_store_that_cannot_be_opened_is_named(url):
    with pytest.raises(TransientError, match=f"the store {url} cannot be used") as caught:
        open_store(url)
    assert caught.value.reason == "StoreUnavailable"
