"""The servers under test as processes: started once, stopped in the sense of SIGSTOP while another is measured."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hack.bench.serving.installs import infinity
from hack.bench.serving.load import Address
from hack.bench.serving.models import Model, onnx_folder
from hack.bench.serving.published import Engine
from hack.environment import outside

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 300
OURS = "embedplane"
REFERENCE = "sentence-transformers fp32"
OFFLINE = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Contender:
    """How a server is started and asked."""

    name: str
    command: Sequence[str]
    path: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Running:
    """A server that runs, and what starting it took."""

    name: str
    process: subprocess.Popen[bytes]
    address: Address
    start_seconds: float

    @contextmanager
    def awake(self) -> Iterator[Address]:
        """Let it run for the length of a block; outside of such it takes no CPU time."""
        self.process.send_signal(signal.SIGCONT)
        try:
            yield self.address
        finally:
            self.process.send_signal(signal.SIGSTOP)

    def cpu_seconds(self) -> float:
        """Return the CPU time it has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self) -> float:
        """Return its resident size."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return round(int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024, 1)


def contenders(model: Model, engine: Engine, against: Path | None) -> dict[str, Callable[[int], Contender]]:
    """Return all servers by name, each made with its port; `against` is another checkout, measured as `before`."""
    found = {OURS: lambda port: _embedplane(OURS, engine, ROOT, port)}
    if against is not None:
        found["before"] = lambda port: _embedplane("before", engine, against, port)
    return {
        **found,
        "infinity bf16": lambda port: _infinity(
            "infinity bf16", model.folder, port, "--engine", "torch", "--dtype", "bfloat16"
        ),
        "infinity onnx": lambda port: _infinity(
            "infinity onnx", onnx_folder(model), port, "--engine", "optimum", "--pooling-method", "mean"
        ),
        REFERENCE: lambda port: Contender(
            REFERENCE,
            [sys.executable, str(Path(__file__).with_name("plain_server.py")), str(model.folder), str(port)],
            "/v1/embeddings",
            OFFLINE,
        ),
    }


@contextmanager
def running(make: Callable[[int], Contender], model: Model, log: Path) -> Iterator[Running]:
    """Start a server, wait until it answers, and end it after the block."""
    port = _free_port()
    contender = make(port)
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            contender.command,
            env={**outside(), **contender.variables},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_listening(process, port, log)
        yield Running(contender.name, process, Address(port, contender.path, model.name), time.perf_counter() - started)
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def _embedplane(name: str, engine: Engine, checkout: Path, port: int) -> Contender:
    variables = {**engine.variables, "EMBEDPLANE_HOST": "127.0.0.1", "EMBEDPLANE_PORT": str(port)}
    command = [sys.executable, "-m", "embedplane_server", "serve"]
    return Contender(name, command, "/v1/embeddings", {**variables, "PYTHONPATH": str(checkout / "server")})


def _infinity(name: str, folder: Path, port: int, *options: str) -> Contender:
    command = [str(infinity().with_name("infinity_emb")), "v2", "--model-id", str(folder)]
    where = ["--served-model-name", folder.name, "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    return Contender(name, [*command, *where, *options], "/embeddings", OFFLINE)


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        if process.poll() is not None:
            raise SystemExit(f"a server ended at its start:\n{log.read_text()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"a server did not start:\n{log.read_text()[-2000:]}") from None
            time.sleep(0.02)
        else:
            return


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
