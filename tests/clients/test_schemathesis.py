"""Schemathesis finds nothing where a server and its own OpenAPI document differ."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.provision import clients
from tests.support.ports import free_port

pytestmark = pytest.mark.provisioned

FOLDER = Path(__file__).parent


@pytest.fixture(params=["embedding", "reranker", "classifier"])
def fake_server(request: pytest.FixtureRequest) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "tests.support.fake_server", str(port), request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def test_nothing_is_found(fake_server, tmp_path):
    configured = [clients.program("st"), "--config-file", FOLDER / "schemathesis.toml"]
    done = subprocess.run(
        [*configured, "run", f"{fake_server}/openapi.json", "--checks", "all", "--no-color"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "No issues found" in done.stdout
