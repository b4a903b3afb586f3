"""The real all-MiniLM-L6-v2, or another model, served by `up` in a process of its own."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.environment import outside
from tests.support.reference import minilm_folder


@dataclass(frozen=True)
class ServedMiniLM:
    """A server that is ready."""

    url: str
    cache: Path
    told: list[str]
    """The lines of progress until it was ready."""
    pid: int


@contextmanager
def minilm_up(cache: Path, **variables: str) -> Iterator[ServedMiniLM]:
    """Run `up` with a store below `cache` until the block ends; it ends on Ctrl-C as it should."""
    with model_up(minilm_folder(), cache, "/v1/embeddings", **variables) as served:
        yield served


@contextmanager
def model_up(model: Path, cache: Path, route: str, **variables: str) -> Iterator[ServedMiniLM]:
    """Run `up` of a folder, which has to name this route as the one to try."""
    command = [sys.executable, "-m", "embedplane_server", "up", str(model), "--port", "0", "--name", "minilm"]
    environment = {**outside(), "XDG_CACHE_HOME": str(cache), **variables}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        progress: list[str] = []
        reader = threading.Thread(target=progress.extend, args=(process.stderr,), daemon=True)
        reader.start()
        watchdog = threading.Timer(600, process.kill)
        watchdog.start()
        try:
            told = process.stdout.readline()
            watchdog.cancel()
            assert told.startswith("minilm is served at http://127.0.0.1:"), progress
            assert told.endswith(f"{route}\n")
            yield ServedMiniLM(told.split()[-1].removesuffix(route), cache, progress, process.pid)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            watchdog.cancel()
            process.kill()  # one that still runs here would be waited for without end
            reader.join()
