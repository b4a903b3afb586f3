"""Where a run works: images, folders and names of containers; steps run through it and leave their last words."""

import itertools
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hack.gpu_smoke.containers import Ended, Mount, Runtime, Work
from hack.gpu_smoke.gpu import Gpu
from hack.gpu_smoke.jobs import STORE, TOKEN, WORDS
from hack.gpu_smoke.outcome import StepFailedError
from hack.gpu_smoke.server import Server

INSIDE = Path(__file__).with_name("inside")
PROGRAMS = "/smoke"
"""Where our own programs for the images are mounted."""
RESULT = "RESULT "
"""How the line begins that a program tells its result in: libraries write lines as well."""


@dataclass
class Bench:
    """The machine as far as trials use it."""

    runtime: Runtime
    gpu: Gpu
    gpu_image: str
    exporter_image: str
    folder: Path
    threads: int
    within: float
    """Seconds that one step may take."""
    token: Path | None = None
    endpoint: str | None = None
    in_flight: int = 16
    load_seconds: float = 10.0
    references: dict[str, Any] = field(default_factory=dict)
    """Vectors of sentence-transformers, by model."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def store(self, name: str = "store") -> Path:
        """Return a folder that containers may write, whoever they run as."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        return folder

    def readable(self, name: str, content: str) -> Path:
        """Return a file that containers may read."""
        file = self.folder / name
        file.write_text(content, encoding="utf-8")
        file.chmod(0o644)
        return file

    @contextmanager
    def readable_token(self) -> Iterator[tuple[Mount, ...]]:
        """Mount a copy of the hub's token, as the file is often its owner's only; it goes with the block."""
        if self.token is None:
            yield ()
            return
        copy = self.readable("token", self.token.read_text(encoding="utf-8").strip())
        try:
            yield (Mount(copy, TOKEN),)
        finally:
            copy.unlink()

    def step(
        self, command: str, variables: Mapping[str, str], *, on_gpu: bool, mounts: Sequence[Mount] = ()
    ) -> dict[str, Any]:
        """Run a step of the server package and return its result. Raises `StepFailedError`."""
        work, log = self._step_work(command, variables, on_gpu, mounts)
        ended = self.runtime.run(work, log, self.within)
        result = self.last_words(work.name).get("result")
        if ended.exit_code == 0 and isinstance(result, dict):
            return result
        raise StepFailedError(self._told(work.name, ended), ended.tail)

    def program(self, name: str, arguments: Sequence[str], *, on_gpu: bool, mounts: Sequence[Mount] = ()) -> Any:  # noqa: ANN401 -- JSON
        """Run one of our programs by an image's Python and return the JSON of its result."""
        number = next(self._numbers)
        work = Work(
            name=f"embedplane-smoke-{os.getpid()}-{number}",
            image=self.gpu_image if on_gpu else self.exporter_image,
            arguments=[f"{PROGRAMS}/{name}.py", *arguments],
            entrypoint="python",
            mounts=[Mount(INSIDE, PROGRAMS), Mount(self.store(), STORE, True), *mounts],
            has_gpu=on_gpu,
        )
        ended = self.runtime.run(work, self._log(f"{number}-{name}"), self.within)
        said = [line.removeprefix(RESULT) for line in ended.output.splitlines() if line.startswith(RESULT)]
        if ended.exit_code != 0 or not said:
            raise StepFailedError(f"{name}.py ended with {ended.exit_code}", ended.tail)
        return json.loads(said[-1])

    @contextmanager
    def server(self, variables: Mapping[str, str], store: Path | None = None) -> Iterator[Server]:
        """Start a server's container; it is gone after the block."""
        work, log = self._step_work("serve", variables, True, (), store, free_port())
        server = Server(self.runtime, work, log, lambda: self.last_words(work.name))
        try:
            yield server
        finally:
            server.remove()

    def last_words(self, name: str) -> dict[str, Any]:
        """Return a container's termination message; {} when it left none."""
        try:
            said = json.loads((self.folder / "words" / name / "last").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return said if isinstance(said, dict) else {}

    def _step_work(
        self,
        command: str,
        variables: Mapping[str, str],
        on_gpu: bool,
        mounts: Sequence[Mount],
        store: Path | None = None,
        port: int | None = None,
    ) -> tuple[Work, Path]:
        number = next(self._numbers)
        name = f"embedplane-smoke-{os.getpid()}-{number}"
        self.store("words")
        words = self.store(f"words/{name}")
        is_reader = command == "serve"  # servers have the store read-only
        work = Work(
            name=name,
            image=self.gpu_image if on_gpu else self.exporter_image,
            arguments=[command],
            environment=variables,
            mounts=[Mount(store or self.store(), STORE, not is_reader), Mount(words, WORDS, True), *mounts],
            has_gpu=on_gpu,
            port=port,
        )
        return work, self._log(f"{number}-{command}")

    def _log(self, name: str) -> Path:
        (self.folder / "logs").mkdir(exist_ok=True)
        return self.folder / "logs" / f"{name}.log"

    def _told(self, name: str, ended: Ended) -> str:
        if ended.exit_code is None:
            return f"not done after {self.within:.0f} s"
        error = self.last_words(name).get("error")
        if isinstance(error, dict):
            return f"{error.get('reason')} (exit code {ended.exit_code}): {error.get('message')}"
        return f"exit code {ended.exit_code} without a termination message"


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
