"""Folders of the cache whose names follow from what describes their content: complete, or not there."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from hack.cluster.layout import REPOSITORY, Layout
from hack.cluster.progress import SetupError, step
from hack.environment import extended

COMMAND = ".venv/bin/python -m hack.provision"
_DIGITS = 12


def entry(name: str, description: str) -> Path:
    """Return the folder for what is described so, whether it exists or not."""
    return Layout.of_environment().cache / name / hashlib.sha256(description.encode()).hexdigest()[:_DIGITS]


def existing(folder: Path, what: str) -> Path:
    """Return the folder, or raise what creates it."""
    if not _mark(folder).exists():
        raise SetupError(f"{what} are not here ({folder}). Create them: {COMMAND}")
    return folder


def make_once(folder: Path, what: str, make: Callable[[Path], None]) -> None:
    """Fill the folder unless that was done before. What other descriptions made goes: each is half a gigabyte."""
    if _mark(folder).exists():
        return
    if folder.parent.exists():
        shutil.rmtree(folder.parent)
    folder.mkdir(parents=True)
    with step(what):
        make(folder)
    _mark(folder).touch()


def run(*command: str | Path, **environment: str) -> str:
    """Run a program in the repository and return what it prints; raise what it complains of."""
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=extended(**{"UV_PYTHON_DOWNLOADS": "never", **environment}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SetupError(f"{' '.join(map(str, command))}\n{done.stderr.strip()}")
    return done.stdout


def uv() -> str:
    """Return where the pinned uv is."""
    return run(REPOSITORY / "hack" / "uv.sh").strip()


def _mark(folder: Path) -> Path:
    return folder / ".complete"
