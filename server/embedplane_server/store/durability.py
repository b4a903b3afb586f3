"""Writes to a file store through to the disk: without it, a crash of the node may leave manifests of empty files."""

import errno
import os
from pathlib import Path


def settle(root: Path, path: str) -> None:
    """Write a file's content through to the disk, and the names that lead to it from the root."""
    file = root / path
    _sync(file)
    for folder in file.parents:
        _sync(folder)
        if folder == root:
            break


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that keeps no folders back
            raise
    finally:
        os.close(descriptor)
