"""The store in a real S3 server: writers side by side, damage, wrong credentials and buckets that are not there."""

import asyncio
import json

import pytest

from embedplane_server.errors import TransientError
from embedplane_server.store import files_below, open_store
from tests.support.object_storage import running_object_storage

pytestmark = pytest.mark.provisioned

NAME = "exports/ex1-0"


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    with running_object_storage(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture
def bucket(storage, request):
    """A bucket of the test's own, as the folder that the server keeps it in."""
    return storage.bucket(f"bucket-{abs(hash(request.node.name))}")


@pytest.fixture
def opened(storage, bucket, tmp_path):
    """Open the store as one pod after the other does: each with a disk of its own."""
    count = iter(range(100))

    def open_one(prefix="a-prefix/a-namespace", bucket_name=bucket.name, **keys):
        url = storage.url(f"s3://{bucket_name}/{prefix}", storage.credentials(**keys))
        return open_store(url, tmp_path / f"downloads-{next(count)}")

    return open_one


def folder_of(path, **files):
    for name, content in files.items():
        target = path / name.replace("__", "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return path


async def publish(store, folder, **about):
    return await store.publish(NAME, folder, files_below(folder), about)


def objects(bucket):
    return [path for path in files_below(bucket) if not path.startswith(".")]


async def test_what_one_pod_publishes_another_reads(opened, tmp_path):
    entry = await publish(opened(), folder_of(tmp_path / "source", graph="g", sub__file="f" * 8_000_000), texts=3)
    reader = opened()
    assert await reader.find(NAME) == entry
    directory = await reader.local_directory(NAME)
    assert (directory / "graph").read_text() == "g"
    assert (directory / "sub/file").stat().st_size == 8_000_000
    assert await reader.names("exports") == ["ex1-0"]


async def test_entries_lie_below_the_prefix_and_nowhere_else(opened, bucket, tmp_path):
    await publish(opened(), folder_of(tmp_path / "source", graph="g"))
    assert all(path.startswith("a-prefix/a-namespace/exports/ex1-0/") for path in objects(bucket))
    assert await opened(prefix="a-prefix/another-namespace").find(NAME) is None


async def test_of_writers_side_by_side_one_wins_and_nothing_else_stays(opened, bucket, tmp_path):
    sources = [folder_of(tmp_path / f"source-{row}", graph=f"graph {row}" * 1000) for row in range(12)]
    entries = await asyncio.gather(*(publish(opened(), source, row=row) for row, source in enumerate(sources)))
    assert len({entry.folder for entry in entries}) == 1
    directory = await opened().local_directory(NAME)
    assert (directory / "graph").read_text() == f"graph {entries[0].about['row']}" * 1000
    below = f"a-prefix/a-namespace/{NAME}"
    assert objects(bucket) == [f"{below}/{entries[0].folder}/graph", f"{below}/manifest.json"]


async def test_an_entry_without_its_manifest_does_not_exist(opened, bucket, tmp_path):
    entry = await publish(opened(), folder_of(tmp_path / "source", graph="g"))
    (bucket / "a-prefix/a-namespace" / NAME / "manifest.json").unlink()
    assert (bucket / "a-prefix/a-namespace" / NAME / entry.folder / "graph").exists()
    assert await opened().find(NAME) is None


async def test_the_manifest_comes_last(opened, bucket, tmp_path, monkeypatch):
    store, seen = opened(), []
    upload = store._objects.upload

    async def watched(path, source):
        await upload(path, source)
        seen.append((bucket / "a-prefix/a-namespace" / NAME / "manifest.json").exists())

    monkeypatch.setattr(store._objects, "upload", watched)
    await publish(store, folder_of(tmp_path / "source", one="1", two="2"))
    assert seen == [False, False]
    assert (bucket / "a-prefix/a-namespace" / NAME / "manifest.json").exists()


@pytest.mark.parametrize("damage", ["truncate", "remove"])
async def test_a_truncated_or_missing_object_is_noticed_and_made_again(opened, bucket, tmp_path, damage):
    source = folder_of(tmp_path / "source", graph="a graph of some length")
    entry = await publish(opened(), source)
    damaged = bucket / "a-prefix/a-namespace" / NAME / entry.folder / "graph"
    if damage == "truncate":
        damaged.write_text("a graph")
    else:
        damaged.unlink()
    with pytest.raises(TransientError, match="graph is missing or differs") as caught:
        await opened().local_directory(NAME)
    assert caught.value.reason == "DigestMismatch"

    await opened().remove(NAME)
    await publish(opened(), source)
    assert (await opened().local_directory(NAME) / "graph").read_text() == "a graph of some length"


async def test_a_manifest_that_cannot_be_read_is_replaced(opened, bucket, tmp_path):
    source = folder_of(tmp_path / "source", graph="g")
    await publish(opened(), source)
    (bucket / "a-prefix/a-namespace" / NAME / "manifest.json").write_text("{")
    assert await opened().find(NAME) is None
    entry = await publish(opened(), source)
    assert json.loads((bucket / "a-prefix/a-namespace" / NAME / "manifest.json").read_text())["folder"] == entry.folder


WRONG_KEYS = [
    ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
    ({"AWS_ACCESS_KEY_ID": "stranger"}, "access key"),
    ({"AWS_SECRET_ACCESS_KEY": ""}, "lacks AWS_SECRET_ACCESS_KEY"),
]


@pytest.mark.parametrize(("keys", "said"), WRONG_KEYS)
async def test_wrong_credentials_are_named_and_are_no_missing_entry(opened, tmp_path, keys, said):
    with pytest.raises(TransientError, match=said) as caught:
        await opened(**keys).find(NAME)
    assert caught.value.reason == "StoreUnavailable"
    assert "store.secrets" in caught.value.message
    with pytest.raises(TransientError, match=said):
        await publish(opened(**keys), folder_of(tmp_path / "source", graph="g"))


async def test_a_bucket_that_is_not_there_is_named_and_is_no_missing_entry(opened):
    with pytest.raises(TransientError, match=r"no-such-bucket.*NoSuchBucket.*Create the bucket"):
        await opened(bucket_name="no-such-bucket").find(NAME)
    with pytest.raises(TransientError, match=r"no-such-bucket.*NoSuchBucket.*Create the bucket"):
        await opened(bucket_name="no-such-bucket").names("engines")


async def test_readers_need_no_right_to_write(opened, storage, bucket, tmp_path):
    entry = await publish(opened(), folder_of(tmp_path / "source", graph="g"))
    with running_object_storage(storage.folder, "127.0.0.1", "--readonly") as readonly:
        url = readonly.url(f"s3://{bucket.name}/a-prefix/a-namespace", readonly.credentials())
        reader = open_store(url, tmp_path / "readers")
        assert (await reader.local_directory(NAME) / "graph").read_text() == "g"
        assert await reader.find(NAME) == entry
        with pytest.raises(TransientError, match="Give the Secret"):
            await reader.write("sources/a.json", b"{}")
