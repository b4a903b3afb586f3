"""`resolve` says which commit a source names now, as `fetch` would, and leaves the store alone."""

import asyncio
import io
import json

import pytest

from embedplane_server.__main__ import main
from embedplane_server.errors import ExitCode, PermanentError
from embedplane_server.fetch import fetch
from embedplane_server.progress import Progress
from embedplane_server.resolve import resolve
from embedplane_server.settings import EngineSettings, FetchSettings, HuggingFaceSource, ResolveSettings, Source
from hack.demo.repositories import Repositories
from tests.support.hub import mirroring
from tests.unit.embedplane_server.model_folder import write_model


def resolved(source, **settings):
    return asyncio.run(resolve(ResolveSettings(source=source, **settings), Progress(io.StringIO()))).commit


def fetched(source, store):
    settings = FetchSettings(store=f"file://{store}", source=source, engine=EngineSettings(backend="openvino"))
    return asyncio.run(fetch(settings, Progress(io.StringIO()))).commit


def test_a_branch_is_followed_while_it_moves(tmp_path):
    repositories = Repositories()
    repositories.add("org/model", write_model(tmp_path / "one"))
    with mirroring(repositories) as endpoint:
        source = Source(hugging_face=HuggingFaceSource(repo="org/model", endpoint=endpoint))
        first = resolved(source)
        assert first == fetched(source, tmp_path / "store")

        repositories.add("org/model", write_model(tmp_path / "two", model_safetensors=b"better weights"))

        assert resolved(source) == repositories.by_name["org/model"].branches["main"].id != first


def test_a_private_repository_needs_its_token(tmp_path):
    repositories = Repositories()
    repositories.add("org/private", write_model(tmp_path / "one"))
    repositories.protect("org/private", "a-token", is_private=True)
    (tmp_path / "token").write_text("a-token\n")
    with mirroring(repositories) as endpoint:
        source = Source(hugging_face=HuggingFaceSource(repo="org/private", endpoint=endpoint))
        with pytest.raises(PermanentError, match="does not exist or is private"):
            resolved(source)
        assert resolved(source, token_file=tmp_path / "token")


def test_a_folder_is_followed_while_its_model_changes(tmp_path):
    folder = write_model(tmp_path / "model")
    source = Source(path=folder)
    first = resolved(source)
    assert first == fetched(source, tmp_path / "store")

    (folder / "notes.txt").write_text("not the model's")
    assert resolved(source) == first
    (folder / "model.safetensors").write_bytes(b"better weights")

    assert resolved(source) != first


def test_the_command_answers_in_its_termination_message(tmp_path):
    log = tmp_path / "termination-log"
    environment = {
        "EMBEDPLANE_SOURCE": json.dumps({"path": str(write_model(tmp_path / "model"))}),
        "EMBEDPLANE_STORE": f"file://{tmp_path}/store",
        "EMBEDPLANE_TERMINATION_LOG": str(log),
    }

    assert main(["resolve"], environment) == ExitCode.DONE

    assert json.loads(log.read_text())["result"]["commit"].startswith("sha256:")
    assert not (tmp_path / "store").exists()
