"""The environment of tests/clients: Python packages from its own uv.lock, and openai's for Node where there is one."""

import shutil
import sys
from pathlib import Path

from hack.cluster.layout import REPOSITORY
from hack.provision.entries import entry, existing, make_once, run, uv

PROJECT = REPOSITORY / "tests" / "clients"
_DESCRIPTIONS = ("pyproject.toml", "uv.lock", "package.json", "package-lock.json")


def program(name: str) -> Path:
    """Return a program of the environment, as `python` or `st`."""
    return _existing() / "python" / "bin" / name


def node_modules() -> Path:
    """Return where Node finds the packages."""
    return _existing() / "node_modules"


def has_npm() -> bool:
    """Tell whether Node's packages can be installed here."""
    return shutil.which("npm") is not None


def provide() -> None:
    """Make the environment unless it is there."""
    make_once(_entry(), "installing the clients", _install)


def _install(folder: Path) -> None:
    environment = {"UV_PROJECT_ENVIRONMENT": str(folder / "python"), "UV_LINK_MODE": "copy"}
    run(uv(), "sync", "--project", PROJECT, "--frozen", "--quiet", "--python", sys.executable, **environment)
    if has_npm():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PROJECT / name, folder)
        run("npm", "ci", "--prefix", folder, "--silent", "--no-audit", "--no-fund", "--ignore-scripts")


def _entry() -> Path:
    described = "".join((PROJECT / name).read_text(encoding="utf-8") for name in _DESCRIPTIONS)
    return entry("clients", f"{described}{'with' if has_npm() else 'without'} npm")


def _existing() -> Path:
    return existing(_entry(), "The clients")
