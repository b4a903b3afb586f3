"""The container program of this machine: the only module that starts containers.

They run as Embedplane's pods do: its user and group, a read-only root, no capabilities, /tmp for everything else.
"""

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("docker", "podman", "nerdctl")
USER = "65532:65532"
PORT = 8080
TAIL_LINES = 25
_STUCK_SECONDS = 120


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine inside a container."""

    source: Path
    target: str
    is_writable: bool = False


@dataclass(frozen=True)
class Work:
    """One container: which image runs what."""

    name: str
    image: str
    arguments: Sequence[str]
    entrypoint: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[Mount] = ()
    has_gpu: bool = False
    port: int | None = None
    """Of this machine, at which the container's 8080 is reached."""


@dataclass(frozen=True)
class Ended:
    """How a program ended; the exit code is None when it had to be killed after its time."""

    exit_code: int | None
    seconds: float
    output: str

    @property
    def tail(self) -> str:
        """The last lines."""
        return "\n".join(self.output.strip().splitlines()[-TAIL_LINES:])


@dataclass(frozen=True)
class Runtime:
    """Docker, or one of the programs that take the same words."""

    program: str

    @property
    def kind(self) -> str:
        return Path(self.program).name

    def command(self, work: Work) -> list[str]:
        """Return the command that runs a container until it ends."""
        options = ["--rm", "--name", work.name, "--user", USER, "--read-only", "--cap-drop", "ALL"]
        options += ["--security-opt", "no-new-privileges", "--workdir", "/tmp", "--volume", "/tmp"]  # noqa: S108 -- in the container
        if self.kind == "podman":  # a folder of this machine is not labelled for containers where SELinux runs
            options += ["--security-opt", "label=disable"]
        if work.has_gpu:
            options += ["--device", "nvidia.com/gpu=0"] if self.kind == "podman" else ["--gpus", "device=0"]
        if work.port is not None:
            options += ["--publish", f"127.0.0.1:{work.port}:{PORT}"]
        if work.entrypoint is not None:
            options += ["--entrypoint", work.entrypoint]
        for name, value in {"HOME": "/tmp", "TMPDIR": "/tmp", **work.environment}.items():  # noqa: S108 -- as above
            options += ["--env", f"{name}={value}"]
        for mount in work.mounts:
            options += ["--volume", f"{mount.source}:{mount.target}:{'rw' if mount.is_writable else 'ro'}"]
        return [self.program, "run", *options, work.image, *work.arguments]

    def start(self, work: Work, log: Path) -> subprocess.Popen[bytes]:
        """Start a container whose output goes to a file; the process ends with its exit code."""
        with log.open("wb") as output:
            return subprocess.Popen(self.command(work), stdout=output, stderr=subprocess.STDOUT)

    def run(self, work: Work, log: Path, within: float) -> Ended:
        """Run a container to its end; it is killed after so many seconds, or when this process is told to end."""
        started = time.monotonic()
        with self.start(work, log) as process:
            try:
                exit_code: int | None = process.wait(within)
            except subprocess.TimeoutExpired:
                self.signal(work.name, "KILL")
                process.wait(_STUCK_SECONDS)
                exit_code = None
            except BaseException:
                self.signal(work.name, "KILL")
                raise
        return Ended(exit_code, time.monotonic() - started, log.read_text(encoding="utf-8", errors="replace"))

    def signal(self, name: str, signal: str) -> None:
        """Send a signal to a container; one that is gone is no fault."""
        self.ask("kill", "--signal", signal, name)

    def ask(self, *arguments: str, within: float = _STUCK_SECONDS) -> Ended:
        """Run any other command of the program."""
        return ask(self.program, *arguments, within=within)


def ask(program: str, *arguments: str, within: float = _STUCK_SECONDS, folder: Path | None = None) -> Ended:
    """Run a program to its end; one that cannot be started counts as failed."""
    started = time.monotonic()
    try:
        done = subprocess.run(
            [program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            timeout=within, check=False, cwd=folder,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Ended(None, time.monotonic() - started, f"no answer within {within:.0f} s")
    except OSError as error:
        return Ended(127, time.monotonic() - started, str(error))
    return Ended(done.returncode, time.monotonic() - started, done.stdout)


def find_program(wanted: str | None) -> str | None:
    """Return the container program: the one that is asked for, else the first there is."""
    return next((found for name in ([wanted] if wanted else PROGRAMS) if (found := shutil.which(name))), None)
