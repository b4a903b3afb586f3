"""Real OpenVINO engines whose weights are not those that were proven, at start and under a running server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from embedplane_server.__main__ import main
from embedplane_server.builders import benchmark
from embedplane_server.results import BuildResult
from hack.environment import outside
from tests.support.damage import with_digests_made_anew
from tests.support.ports import free_port
from tests.support.small_engine import SmallModel, tables
from tests.support.waiting import wait_for


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallModel:
    monkeypatch.setattr(benchmark, "_MEASURED_SECONDS", 0.01)
    model = SmallModel(tmp_path / "store")
    model.export()
    return model


def weights_of(small: SmallModel, built: BuildResult) -> Path:
    (weights,) = small.engine_folder(built).rglob("model.bin")
    return weights


def write_over(weights: Path) -> None:
    """Write other vectors of words into the same file, as a disk or a stranger would."""
    words, _ = tables()
    place = weights.read_bytes().index(words.tobytes())
    with weights.open("r+b") as file:
        file.seek(place)
        file.write(words[::-1].tobytes())


@contextmanager
def serving(environment: dict[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Serve in a process of its own, until it is ready and as long as the block runs."""
    command = [sys.executable, "-m", "embedplane_server", "serve"]
    with subprocess.Popen(command, env={**outside(), **environment}) as process:
        try:
            wait_for("the server is ready", lambda: _is_ready(process, port), within=60)
            yield process
        finally:
            process.terminate()
            process.wait(30)


def _is_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, f"the server ended with {process.returncode}"
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").is_success
    except httpx.TransportError:
        return False


def test_weights_that_differ_under_digests_that_fit_are_found_at_start(small, tmp_path):
    built, log = small.build(), tmp_path / "termination-log"
    write_over(weights_of(small, built))
    with_digests_made_anew(small.engine_folder(built))
    environment = small.serve_environment(built, termination_log=log)

    assert main(["serve"], environment) == 64

    said = json.loads(log.read_text())["error"]
    assert said["reason"] == "VectorDrift"
    assert "10 texts) to sentence-transformers'" in said["message"]
    assert "below the floor 0.999" in said["message"]
    assert "its files are those that were published" in said["message"]


def test_weights_that_change_under_a_running_server_end_it_and_the_next_start_names_the_file(small, tmp_path):
    built, log, port = small.build(), tmp_path / "termination-log", free_port()
    environment = small.serve_environment(
        built, termination_log=log, port=port, self_check_seconds=0.05, drain_delay_seconds=2
    )
    url = f"http://127.0.0.1:{port}"
    with serving(environment, port) as process:
        request = {"input": "the quick brown fox", "model": "small"}
        before = httpx.post(f"{url}/v1/embeddings", json=request)
        assert before.status_code == 200

        write_over(weights_of(small, built))

        wait_for(
            "the server says no", lambda: httpx.get(f"{url}/health/ready").status_code == 503, within=30, pause=0.05
        )
        refused = httpx.post(f"{url}/v1/embeddings", json=request)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "vector_drift")
        assert process.wait(30) == 65
    said = json.loads(log.read_text())["error"]
    assert said["reason"] == "VectorDrift"
    assert "to its reference, twice, below the floor 0.999" in said["message"]

    assert main(["serve"], dict(environment)) == 66
    said = json.loads(log.read_text())["error"]
    assert said["reason"] == "EngineCorrupt"
    assert "model.bin is missing or differs from its digest" in said["message"]
