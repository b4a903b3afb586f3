"""Fetching through the hub's real client, from a mirror of the hub's HTTP interface."""

import asyncio
import io
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from embedplane_server.errors import PermanentError, TransientError
from embedplane_server.fetch import fetch
from embedplane_server.http_server import listen
from embedplane_server.inspection import describe_source, source_of
from embedplane_server.progress import Progress
from embedplane_server.settings import EngineSettings, FetchSettings, HuggingFaceSource, Overrides, Source
from hack.demo.hub_mirror import create_app
from hack.demo.repositories import Repositories
from tests.support.waiting import wait_for
from tests.unit.embedplane_server.model_folder import write_model

TOKEN = "a-token"


@dataclass
class Mirror:
    """A mirror in this process; `requests` are the paths that were asked for."""

    repositories: Repositories
    endpoint: str
    requests: list[str]


@pytest.fixture
def mirror(tmp_path):
    repositories = Repositories()
    repositories.add("org/model", write_model(tmp_path / "org-model"))
    repositories.add("org/model@v2", write_model(tmp_path / "org-model-v2", model_safetensors=b"better weights"))
    repositories.add("org/gated", write_model(tmp_path / "gated"))
    repositories.protect("org/gated", TOKEN, is_private=False)
    repositories.add("org/private", write_model(tmp_path / "private"))
    repositories.protect("org/private", TOKEN, is_private=True)
    pickle = write_model(tmp_path / "pickle", model_safetensors=None, **{"pytorch_model.bin": b"pickle"})
    repositories.add("org/pickle", pickle)
    requests = []
    app = create_app(repositories)

    async def recording(scope, receive, send):
        if scope["type"] == "http":
            requests.append(scope["path"])
        await app(scope, receive, send)

    with listen("127.0.0.1", 0) as socket:
        server = uvicorn.Server(uvicorn.Config(recording, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        wait_for("the mirror serves", lambda: server.started, within=10)
        yield Mirror(repositories, f"http://127.0.0.1:{socket.getsockname()[1]}", requests)
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def run(mirror, tmp_path):
    def fetched(repo="org/model", revision="main", token=None, endpoint=None, store="store"):
        token_file = None
        if token is not None:
            token_file = tmp_path / "token"
            token_file.write_text(f"{token}\n")
        source = HuggingFaceSource(repo=repo, revision=revision, endpoint=endpoint or mirror.endpoint)
        settings = FetchSettings(
            store=f"file://{tmp_path}/{store}",
            source=Source(hugging_face=source),
            token_file=token_file,
            engine=EngineSettings(backend="openvino"),
        )
        return asyncio.run(fetch(settings, Progress(io.StringIO())))

    return fetched


def test_a_branch_becomes_a_commit_and_its_files_an_entry(run, mirror, tmp_path):
    result = run()
    assert result.commit == mirror.repositories.by_name["org/model"].branches["main"].id
    files = {p.name for p in (tmp_path / "store/models" / result.digest).rglob("*") if p.is_file()}
    assert {"model.safetensors", "tokenizer.json", "manifest.json"} <= files
    assert "README.md" not in files
    assert list((tmp_path / "store/staging").glob("*/*")) == []


def test_the_same_commit_is_not_downloaded_again(run, mirror):
    first = run()
    mirror.requests.clear()
    assert run() == first
    assert [path for path in mirror.requests if "/resolve/" in path] == []


def test_a_pinned_commit_in_the_store_needs_no_hub(run, mirror):
    first = run()
    mirror.requests.clear()
    assert run(revision=first.commit) == first
    assert mirror.requests == []


def test_another_revision_is_another_model(run):
    assert run(revision="v2").digest != run().digest


def test_a_model_that_was_damaged_in_the_store_is_fetched_again(run, tmp_path):
    first = run()
    weights = next((tmp_path / "store/models").rglob("model.safetensors"))
    weights.write_bytes(b"damaged")
    second = run()
    assert [each.entry for each in second.set_aside] == [f"models/{first.digest}"]
    assert second.model_copy(update={"set_aside": None}) == first
    assert next((tmp_path / "store/models").rglob("model.safetensors")).read_bytes() == b"weights"


@pytest.mark.parametrize("damage", ["", "{", '{"digest": "../elsewhere"}', "[]"])
@pytest.mark.parametrize("what", ["sources/*/*.json", "models/*/manifest.json"])
def test_what_cannot_be_read_in_the_store_is_written_again(run, mirror, tmp_path, what, damage):
    first = run()
    damaged = next((tmp_path / "store").glob(what))
    damaged.write_text(damage)
    assert run().model_copy(update={"set_aside": None}) == first
    mirror.requests.clear()
    assert run(revision=first.commit) == first
    assert mirror.requests == []


def test_an_interrupted_download_goes_on_where_it_stopped(run, mirror, tmp_path):
    first = run()
    staging = next((tmp_path / "store/staging").glob("*.lock")).stem
    partial = tmp_path / "second/staging" / staging / "model.safetensors.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"wei")
    assert run(store="second") == first


def test_bytes_that_differ_from_the_hubs_digest_are_refused(run, mirror):
    folder = mirror.repositories.by_name["org/model"].branches["main"].files["model.safetensors"]
    assert folder.sha256  # computed before the content changes
    Path(folder.path).write_bytes(b"WEIGHTS")
    with pytest.raises(TransientError, match=r"model\.safetensors of org/model .* came damaged") as caught:
        run()
    assert caught.value.reason == "DigestMismatch"


def test_small_files_are_checked_against_gits_own_digest(run, mirror):
    file = mirror.repositories.by_name["org/model"].branches["main"].files["config.json"]
    assert file.blob_id
    content = file.path.read_bytes()
    file.path.write_bytes(content.replace(b"bert", b"tree"))
    with pytest.raises(TransientError, match=r"config\.json of org/model .* came damaged"):
        run()


def test_concurrent_fetches_of_one_commit_download_once(run, mirror):
    results = []
    threads = [threading.Thread(target=lambda: results.append(run())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == 3
    assert len({result.digest for result in results}) == 1
    assert sum(path.endswith("/model.safetensors") for path in mirror.requests) == 1


def test_the_right_token_opens_gated_and_private_repositories(run):
    assert run(repo="org/gated", token=TOKEN).digest == run(repo="org/private", token=TOKEN).digest


@pytest.mark.parametrize(
    ("options", "reason", "message"),
    [
        ({"repo": "org/nothing"}, "RepositoryNotFound", "set source.huggingFace.tokenSecretRef"),
        ({"repo": "org/private"}, "RepositoryNotFound", "does not exist or is private"),
        ({"repo": "org/nothing", "token": TOKEN}, "RepositoryNotFound", "give the token rights"),
        ({"revision": "no-such-branch"}, "RevisionNotFound", "'no-such-branch' does not exist"),
        ({"revision": "0" * 40}, "RevisionNotFound", "does not exist"),
        ({"repo": "org/gated"}, "AccessDenied", "access to org/gated .* is restricted"),
        ({"repo": "org/gated", "token": "wrong"}, "AccessDenied", "does not accept the token"),
        ({"repo": "org/model", "token": " "}, "AccessDenied", "is empty"),
        ({"repo": "org/pickle"}, "NoSafetensors", r"only in pytorch_model\.bin"),
        ({"repo": "not a repo"}, "InvalidSettings", "is not a repository id"),
    ],
)
def test_a_permanent_failure_has_its_reason_and_remedy(run, options, reason, message):
    with pytest.raises(PermanentError, match=message) as caught:
        run(**options)
    assert caught.value.reason == reason


def test_a_hub_that_refuses_connections_is_unavailable(run):
    with listen("127.0.0.1", 0) as socket:
        port = socket.getsockname()[1]
    with pytest.raises(TransientError, match=r"cannot be used for org/model: .*It is tried again") as caught:
        run(endpoint=f"http://127.0.0.1:{port}")
    assert caught.value.reason == "HubUnavailable"


def test_a_repository_is_described_without_its_weights(mirror, run):
    described = describe_source(source_of("org/model", endpoint=mirror.endpoint), Overrides())
    assert [path for path in mirror.requests if path.endswith("model.safetensors")] == []
    assert described["vectorSpace"]["id"] == run().vector_space.id


def test_prompts_that_only_the_readme_names_are_told_each_time_and_change_no_digest(mirror, run, tmp_path):
    readme = b"Put `query: ` before queries."
    mirror.repositories.add("org/e5", write_model(tmp_path / "e5", README_md=readme))
    usual, fetched = run(), run("org/e5")
    assert fetched.vector_space.unsaid == ("PromptsUnsaid",)
    assert fetched.as_document()["vectorSpace"]["unsaid"] == ["PromptsUnsaid"]
    assert (fetched.digest, fetched.vector_space.id) == (usual.digest, usual.vector_space.id)
    assert "unsaid" not in usual.as_document()["vectorSpace"]
    mirror.requests.clear()
    assert run("org/e5").vector_space.unsaid == ("PromptsUnsaid",)
    assert [path for path in mirror.requests if path.endswith("README.md")] == []
    source = source_of("org/e5", endpoint=mirror.endpoint)
    assert [each["name"] for each in describe_source(source, Overrides())["unsaid"]] == ["PromptsUnsaid"]
    assert describe_source(source, Overrides(prompts={"query": "query: "}))["unsaid"] == []
