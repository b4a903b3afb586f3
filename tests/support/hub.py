"""Hub mirrors: one in this process, and one that pods of the local cluster reach, with repositories that are wrong."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn

from hack.demo.hub_mirror import create_app
from hack.demo.repositories import Repositories
from tests.support.classifiers import save_bert
from tests.support.reference import minilm_folder
from tests.support.waiting import wait_for

MIRROR = Path(__file__).parents[2] / "hack" / "demo" / "hub_mirror.py"
HOST = "198.18.0.1"
"""This machine, as pods of the local cluster see it."""


@dataclass(frozen=True)
class Hub:
    """Where the mirror answers, the token that opens `tests/gated`, and the link that `tests/moving` is."""

    endpoint: str
    token: str
    moving: Path
    process: subprocess.Popen[bytes]

    def move(self) -> None:
        """Let `main` of `tests/moving` name another commit of the same model."""
        target = self.moving.with_name("moved")
        shutil.copytree(minilm_folder(), target, ignore=shutil.ignore_patterns("__pycache__"))
        (target / "README.md").write_text("another commit\n")
        self.moving.unlink()
        self.moving.symlink_to(target)
        self.process.send_signal(signal.SIGHUP)


def pickle_only(folder: Path) -> Path:
    """A model whose weights come as a pickle only."""
    shutil.copytree(minilm_folder(), folder, ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
    (folder / "pytorch_model.bin").write_bytes(b"not looked at")
    return folder


def code_carrying(folder: Path) -> Path:
    """A model that wants its own Python code run."""
    shutil.copytree(minilm_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    configuration = json.loads((folder / "config.json").read_text())
    configuration["auto_map"] = {"AutoModel": "modeling_custom.CustomModel"}
    (folder / "config.json").write_text(json.dumps(configuration))
    (folder / "modeling_custom.py").write_text("raise SystemExit('executed')\n")
    return folder


@contextmanager
def mirroring(repositories: Repositories) -> Iterator[str]:
    """Serve these repositories from a thread of this process; give the endpoint."""
    server = uvicorn.Server(uvicorn.Config(create_app(repositories), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for("the mirror listens", lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def running_hub(folder: Path, port: int) -> Iterator[Hub]:
    """Serve MiniLM, a small reranker and the broken repositories until the block ends."""
    endpoint, token, moving = f"http://{HOST}:{port}", "a-token-of-the-tests", folder / "moving"
    moving.symlink_to(minilm_folder())
    repositories = {
        "tests/pickle-only": pickle_only(folder / "pickle-only"),
        "tests/unsupported": code_carrying(folder / "unsupported"),
        "tests/gated": minilm_folder(),
        "tests/reranker": save_bert(folder / "reranker"),
        "tests/moving": moving,
    }
    command = [sys.executable, str(MIRROR), "--host", HOST, "--port", str(port), "--token", f"tests/gated={token}"]
    for name, path in repositories.items():
        command += ["--repo", f"{name}={path}"]
    process = subprocess.Popen(command)
    hub = Hub(endpoint, token, moving, process)
    try:
        wait_for("the hub mirror answers", lambda: answers(hub))
        yield hub
    finally:
        process.terminate()
        process.wait(60)


def answers(hub: Hub) -> bool:
    assert hub.process.poll() is None, "the hub mirror ended"
    try:
        return httpx.get(f"{hub.endpoint}/api/models/none/none").is_client_error
    except httpx.HTTPError:
        return False
