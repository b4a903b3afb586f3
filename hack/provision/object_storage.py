"""Versity's S3 gateway, a real S3 server over a folder: for tests only, in no image."""

from pathlib import Path

from hack.cluster import toolchain
from hack.cluster.layout import Layout
from hack.cluster.progress import SetupError
from hack.provision.entries import COMMAND

_NAME = "versitygw"


def program() -> Path:
    """Return where the server is."""
    found = Layout.of_environment().binaries / _NAME
    if not found.exists():
        raise SetupError(f"The S3 server is not here ({found}). Build it: {COMMAND}")
    return found


def provide() -> None:
    """Build it unless it is there."""
    toolchain.build(Layout.of_environment(), [_NAME])
