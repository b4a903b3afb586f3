"""Fetching from a real S3 server: what comes down, what pins it, what is said when it cannot be had."""

import asyncio
import io

import pytest

from embedplane_server.errors import PermanentError, StepError, TransientError
from embedplane_server.fetch import fetch
from embedplane_server.progress import Progress
from embedplane_server.settings import EngineSettings, FetchSettings, ObjectStorageSource, Source
from embedplane_server.store import files_below
from embedplane_server.store.objects import Objects
from tests.support.object_storage import running_object_storage
from tests.support.ports import free_port
from tests.unit.embedplane_server.model_folder import write_model

pytestmark = pytest.mark.provisioned


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    with running_object_storage(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture
def bucket(storage, request):
    """A bucket of the test's own that holds a model."""
    path = storage.bucket(f"bucket-{abs(hash(request.node.name))}")
    write_model(path / "models/small", **{"pytorch_model.bin": b"a pickle", "modeling.py": b"raise SystemExit"})
    return path


@pytest.fixture
def run(storage, bucket, tmp_path):
    def fetched(path="models/small", commit=None, store="store", credentials="right", **changed):
        place = {"url": f"s3://{bucket.name}/{path}", "endpoint": storage.endpoint, "commit": commit, **changed}
        keys = {"right": {}, "wrong": {"AWS_SECRET_ACCESS_KEY": "wrong"}, "half": {"AWS_SECRET_ACCESS_KEY": ""}}
        settings = FetchSettings(
            store=store if "://" in store else f"file://{tmp_path}/{store}",
            source=Source(object_storage=ObjectStorageSource(**place)),
            source_credentials=storage.credentials(**keys[credentials]) if credentials else None,
            engine=EngineSettings(backend="openvino"),
        )
        return asyncio.run(fetch(settings, Progress(io.StringIO())))

    return fetched


def refused(run, **given) -> StepError:
    with pytest.raises(StepError) as caught:
        run(**given)
    return caught.value


def test_only_json_and_safetensors_of_the_model_come_down(run, tmp_path):
    result = run()
    files = {path.rpartition("/")[2] for path in files_below(tmp_path / "store/models" / result.digest)}
    assert {"model.safetensors", "config.json", "tokenizer.json", "manifest.json"} <= files
    assert not {"pytorch_model.bin", "modeling.py", "README.md"} & files
    assert list((tmp_path / "store/staging").glob("*/*")) == []


def test_the_pin_stays_while_the_files_do(run, bucket):
    first = run()
    assert first.commit.startswith("etags:")
    (bucket / "models/small/README.md").write_text("another text")
    assert run() == first
    (bucket / "models/small/model.safetensors").write_bytes(b"other weights")
    assert run().commit != first.commit


def test_a_copy_elsewhere_is_the_same_model_in_the_store(run, bucket):
    write_model(bucket / "copies/small")
    assert run(path="copies/small").digest == run().digest


def test_a_pinned_source_in_the_store_is_not_asked_for_again(run):
    first = run()
    assert run(commit=first.commit, credentials="wrong") == first


def test_files_that_moved_since_they_were_pinned_are_told(run, bucket):
    first = run()
    (bucket / "models/small/model.safetensors").write_bytes(b"other weights")
    error = refused(run, commit=first.commit, store="an-empty-store")
    assert (type(error), error.reason) == (PermanentError, "RevisionNotFound")
    assert "embedplane.io/resolve" in error.message


def test_a_file_that_is_written_during_the_download_is_noticed(run, bucket, monkeypatch):
    from embedplane_server.bucket import Bucket  # noqa: PLC0415 -- beside its use

    download = Bucket.download

    async def overtaken(self, file, target):
        if file.name == "model.safetensors":
            (bucket / "models/small/model.safetensors").write_bytes(b"newer weights")
        await download(self, file, target)

    monkeypatch.setattr(Bucket, "download", overtaken)
    error = refused(run)
    assert (type(error), error.reason) == (TransientError, "DigestMismatch")
    assert "model.safetensors" in error.message


def test_the_store_may_be_object_storage_too(run, storage, bucket, monkeypatch):
    storage.bucket(f"store-of-{bucket.name}")
    store = storage.url(f"s3://store-of-{bucket.name}/namespace", storage.credentials())
    first = run(store=store)
    brought, download = set(), Objects.download

    async def watched(self, path, target):
        brought.add(path.rpartition("/")[2])
        await download(self, path, target)

    monkeypatch.setattr(Objects, "download", watched)
    assert run(store=store) == first
    assert run(store=store, commit=first.commit, credentials="wrong") == first
    assert "config.json" in brought
    assert "model.safetensors" not in brought
    kept = files_below(storage.folder / "buckets" / f"store-of-{bucket.name}" / "namespace")
    assert {path.partition("/")[0] for path in kept} == {"models", "sources", "uses"}


@pytest.mark.parametrize(
    ("given", "reason", "said"),
    [
        ({"credentials": "wrong"}, "AccessDenied", "SignatureDoesNotMatch"),
        ({"credentials": "half"}, "AccessDenied", "AWS_SECRET_ACCESS_KEY"),
        ({"credentials": None}, "AccessDenied", "Name a Secret with credentials (source.objectStorage.credentialsSec"),
        ({"url": "s3://no-such-bucket/models"}, "RepositoryNotFound", "NoSuchBucket"),
        ({"path": "models/none"}, "PathNotFound", "holds no JSON or safetensors files"),
        ({"path": "models"}, "PathNotFound", "no config.json"),
        ({"region": "eu-west-9"}, "InvalidSettings", "source.objectStorage.region"),
        ({"endpoint": f"http://127.0.0.1:{free_port()}"}, "HubUnavailable", "source.objectStorage.endpoint"),
        ({"url": "s3:///models"}, "InvalidSettings", "s3://bucket/prefix"),
    ],
)
def test_what_cannot_be_had_is_named_with_what_to_do(run, given, reason, said):
    error = refused(run, **given)
    assert error.reason == reason
    assert said in error.message


def test_weights_that_are_pickles_only_are_refused(run, bucket):
    (bucket / "models/small/model.safetensors").unlink()
    assert refused(run).reason == "NoSafetensors"
