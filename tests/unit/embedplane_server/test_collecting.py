"""What nobody uses goes from the store; what is used, written or just found again stays."""

import asyncio
import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from embedplane_server.__main__ import main
from embedplane_server.errors import ExitCode, TransientError
from embedplane_server.export.manifest import ExportManifest
from embedplane_server.sources import ModelAbout, SourceDocument
from embedplane_server.store import Kept, files_below, open_store
from embedplane_server.store.collection import mark_of
from embedplane_server.store.objects import Objects, unavailable
from embedplane_server.store.timing import keep_timings, read_timings, timings_of

DIGEST, OTHER = "a" * 64, "b" * 64
DAYS = 24 * 3600


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def store(root):
    return open_store(f"file://{root}")


@pytest.fixture
def publish(store, tmp_path):
    """Write an entry that is some days old."""

    async def published(name, days=10.0, **about):
        source = tmp_path / "source"
        source.mkdir(exist_ok=True)
        (source / "graph").write_text(name)
        entry = await store.publish(name, source, files_below(source), about)
        age(store.root / name, days)
        return entry

    return published


def age(path, days):
    then = time.time() - days * DAYS
    for each in [path, *path.rglob("*")]:
        os.utime(each, (then, then))


def kept(*names, grace_days=7.0):
    return Kept(frozenset(names), datetime.now(UTC) - timedelta(days=grace_days))


async def test_what_no_model_uses_goes_and_all_else_stays(store, root, publish):
    for name in (f"models/{DIGEST}", f"models/{OTHER}", "engines/en1-a/cpu", "engines/en1-b/cpu"):
        await publish(name)
    await publish("exports/ex1-a", vector_space="vs1-a")
    await publish("exports/ex1-b", vector_space="vs1-b")
    await publish("exports/ex1-c", vector_space="vs1-c")

    done = await store.collect(kept(DIGEST, "en1-a", "vs1-a", "ex1-c"))

    assert done.removed == {"models": 1, "exports": 1, "engines": 1, "leftovers": 0}
    assert done.in_use == 4
    assert done.removed_bytes == len(f"models/{OTHER}exports/ex1-bengines/en1-b/cpu")
    assert sorted(path.name for path in root.glob("*/*")) == [DIGEST, "en1-a", "ex1-a", "ex1-c"]
    assert await store.local_directory("engines/en1-a/cpu")


def test_exports_say_which_space_they_are_of():
    assert "vector_space" in ExportManifest.model_fields


async def test_what_is_younger_than_the_grace_period_stays(store, publish):
    await publish("engines/en1-a/cpu", days=6)
    await publish("engines/en1-b/cpu", days=8)

    done = await store.collect(kept())

    assert (done.removed["engines"], done.waiting) == (1, 1)
    assert await store.find("engines/en1-a/cpu")


async def test_what_was_used_within_the_grace_period_stays(store, publish):
    await publish(f"models/{DIGEST}", commit="c")
    assert await store.find_intact(f"models/{DIGEST}", ModelAbout)

    assert (await store.collect(kept())).waiting == 1
    age(store.root / mark_of(f"models/{DIGEST}"), 8)
    done = await store.collect(kept())

    assert done.removed["models"] == 1
    assert not (store.root / mark_of(f"models/{DIGEST}")).exists()


async def test_a_late_collection_spares_what_was_used_after_its_list_was_made(store, publish):
    await publish("engines/en1-a/cpu", days=3)
    list_of_last_week = Kept(frozenset(), datetime.now(UTC) - timedelta(days=7, seconds=1))

    assert (await store.collect(list_of_last_week)).waiting == 1


async def test_half_written_things_go_when_they_are_old(store, root, publish):
    await publish("engines/en1-a/cpu")
    old = [
        "engines/en1-a/cpu/files-broken/graph",
        "engines/en1-a/cpu/manifest.json#1",
        "exports/ex1-a/files-1/graph",
        "quarantine/20261101T000000Z-1/models/x/manifest.json",
        "uses/engines/en1-gone/cpu",
    ]
    young = ["exports/ex1-b/files-1/graph", "quarantine/20261125T000000Z-2/models/x/manifest.json"]
    for path in (*old, *young):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")
    for path in old:
        age(root / path, 8)

    done = await store.collect(kept("en1-a"))

    assert done.removed["leftovers"] == len(old)
    assert [path for path in old if (root / path).exists()] == []
    assert all((root / path).exists() for path in young)
    assert await store.local_directory("engines/en1-a/cpu")


async def test_a_damaged_entry_that_is_in_use_is_left_to_those_who_mend_it(store, root, publish):
    entry = await publish("engines/en1-a/cpu")
    (root / "engines/en1-a/cpu/manifest.json").write_text("{")
    age(root / "engines", 10)

    await store.collect(kept("en1-a"))
    assert (root / "engines/en1-a/cpu" / entry.folder / "graph").exists()

    done = await store.collect(kept())
    assert done.removed["engines"] == 1
    assert not (root / "engines/en1-a").exists()


async def test_an_entry_that_is_found_while_it_goes_is_put_back(store, publish, monkeypatch):
    before = await publish("engines/en1-a/cpu")
    remove = Objects.remove

    async def found_just_before(self, path):
        if path == "engines/en1-a/cpu/manifest.json":
            assert await store.use("engines/en1-a/cpu")
        await remove(self, path)

    monkeypatch.setattr(Objects, "remove", found_just_before)
    done = await store.collect(kept())

    assert (done.spared, done.removed["engines"]) == (1, 0)
    assert await store.find("engines/en1-a/cpu") == before
    assert await store.local_directory("engines/en1-a/cpu")


async def test_an_entry_that_is_set_aside_is_not_found_any_more(store, publish):
    await publish("engines/en1-a/cpu")
    (store.root / "engines/en1-a/cpu/manifest.json").unlink()

    assert await store.use("engines/en1-a/cpu") is None


async def test_an_object_store_is_collected_too(tmp_path):
    store = open_store("memory:///", tmp_path / "downloads")
    (tmp_path / "graph").write_text("g")
    for name in ("engines/en1-a/cpu", "engines/en1-b/cpu"):
        await store.publish(name, tmp_path, ["graph"], {})

    done = await store.collect(Kept(frozenset({"en1-a"}), datetime.now(UTC) + timedelta(seconds=1)))

    assert done.removed["engines"] == 1
    assert await store.local_directory("engines/en1-a/cpu")
    assert await store.find("engines/en1-b/cpu") is None
    assert await store.listed("engines/en1-b") == []


def command(root, log, *names):
    return {
        "EMBEDPLANE_STORE": f"file://{root}",
        "EMBEDPLANE_KEEP": json.dumps(names),
        "EMBEDPLANE_KEEP_AS_OF": datetime.now(UTC).isoformat(),
        "EMBEDPLANE_GRACE_SECONDS": str(7 * DAYS),
        "EMBEDPLANE_TERMINATION_LOG": str(log),
    }


def test_the_command_says_what_it_did_and_takes_documents_and_downloads_along(store, root, publish, tmp_path):
    asyncio.run(publish(f"models/{DIGEST}"))
    asyncio.run(publish(f"models/{OTHER}"))
    for digest in (DIGEST, OTHER):
        document = SourceDocument(digest=digest).model_dump_json().encode()
        asyncio.run(store.write(f"sources/place/{digest[:40]}.json", document))
    (root / "staging/place-1").mkdir(parents=True)
    (root / "staging/place-1/weights.partial").write_text("half")
    (root / "staging/place-1.lock").write_text("")
    age(root, 8)

    assert main(["collect"], command(root, tmp_path / "log", DIGEST)) == ExitCode.DONE

    result = json.loads((tmp_path / "log").read_text())["result"]
    assert result.pop("removedBytes") > 0
    counts = {"models": 1, "exports": 0, "engines": 0, "leftovers": 2, "inUse": 1, "waiting": 0, "spared": 0}
    assert result == counts
    assert [path.stem for path in root.glob("sources/*/*")] == [DIGEST[:40]]
    assert not (root / "staging/place-1").exists()


def test_a_download_that_somebody_goes_on_with_stays(store, root, tmp_path):
    import fcntl  # noqa: PLC0415 -- as `fetch` locks it

    (root / "staging/place-1").mkdir(parents=True)
    (root / "staging/place-1/weights.partial").write_text("half")
    with (root / "staging/place-1.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        age(root, 8)

        assert main(["collect"], command(root, tmp_path / "log")) == ExitCode.DONE

    assert (root / "staging/place-1/weights.partial").exists()


def test_what_cannot_be_removed_is_named_and_all_else_goes(store, root, publish, tmp_path, monkeypatch):
    for name in ("engines/en1-a/cpu", "engines/en1-b/cpu"):
        asyncio.run(publish(name))
    remove = Objects.remove

    async def refused(self, path):
        if path.startswith("engines/en1-a/"):
            raise unavailable("file:///store", f"cannot remove {path}", OSError("Read-only file system"))
        await remove(self, path)

    monkeypatch.setattr(Objects, "remove", refused)

    assert main(["collect"], command(root, tmp_path / "log")) == ExitCode.RETRY

    error = json.loads((tmp_path / "log").read_text())["error"]
    assert error["reason"] == "StoreUnavailable"
    assert "cannot remove engines/en1-a/cpu/manifest.json (Read-only file system)" in error["message"]
    assert asyncio.run(store.find("engines/en1-a/cpu"))
    assert not (root / "engines/en1-b").exists()


async def test_a_folder_that_another_process_removes_meanwhile_is_no_fault(store, root, publish, monkeypatch):
    await publish(f"models/{DIGEST}")
    gone = root / "quarantine" / "20261101T000000.000000Z-0000" / "models"
    gone.mkdir(parents=True)
    look = os.scandir

    def remove_first(path):
        if str(path) == str(gone):
            gone.rmdir()
        return look(path)

    monkeypatch.setattr(os, "scandir", remove_first)
    done = await store.collect(kept())

    assert not gone.exists()
    assert done.removed["models"] == 1


async def test_a_folder_that_cannot_be_read_is_a_fault(store, root, monkeypatch):
    (root / "quarantine").mkdir(parents=True)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(TransientError, match=r"cannot list .*Permission denied"):
        await store.collect(kept())


L4 = timings_of("tensorrt-10.14.1.48", "nvidia-l4-sm89")


async def test_measurements_of_kernels_stay_as_long_as_an_engine_that_names_them(store, publish):
    await publish("engines/en1-a/nvidia-l4-sm89-r580", timings=L4)
    other = timings_of("tensorrt-llm-1.2.1", "nvidia-l4-sm89")
    for place in (L4, other):
        await keep_timings(store, place, b"kernels")
    age(store.root / "timings", 8)

    assert (await store.collect(kept("en1-a"))).removed["leftovers"] == 1
    assert await read_timings(store, L4) == b"kernels"
    assert await store.read(other) is None

    await store.collect(kept())
    assert await store.listed("timings") == []


async def test_young_measurements_of_kernels_stay_without_an_engine(store):
    await keep_timings(store, L4, b"kernels")

    assert (await store.collect(kept())).removed["leftovers"] == 0
    assert await read_timings(store, L4) == b"kernels"


async def test_an_engine_that_cannot_be_looked_at_may_name_measurements(store, publish, monkeypatch):
    await publish("engines/en1-a/nvidia-l4-sm89-r580", timings=L4)
    await keep_timings(store, L4, b"kernels")
    age(store.root / "timings", 8)
    read = Objects.read

    async def refuse_engines(self, path):
        if path.startswith("engines/"):
            raise unavailable("file:///store", f"cannot read {path}", OSError("timed out"))
        return await read(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "read", refuse_engines)
        assert (await store.collect(kept("en1-a"))).failures

    assert await read_timings(store, L4) == b"kernels"
