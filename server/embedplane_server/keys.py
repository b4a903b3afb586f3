"""API keys from files: several at once, so that they can be exchanged, and read again when the files change.

A path is a file with a key a line (empty lines and lines with # do not count), or a folder of such files, as Kubernetes
mounts a Secret. Keys are kept as digests and compared in constant time.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from embedplane_server.errors import invalid_settings

logger = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 1.0
SETTING = "EMBEDPLANE_API_KEYS_FILES (spec.serving.apiKeysSecretRef)"

Stamp = tuple[tuple[str, int, int, int], ...]
"""What changes when a file does: its name, inode, size and time."""


class ApiKeys:
    """The keys that are valid now."""

    def __init__(self, paths: Sequence[Path], clock: Callable[[], float] = time.monotonic) -> None:
        self._paths = tuple(paths)
        self._clock = clock
        self._looked = clock()
        try:
            self._stamp = self._stamp_now()
            self._digests = self._read()
        except (OSError, UnicodeDecodeError) as error:
            raise invalid_settings(f"{SETTING}: {error}. Every path must be readable.") from error
        if not self._digests:
            raise invalid_settings(f"{SETTING}: no file holds a key. Write one key a line.")

    def accept(self, key: str) -> bool:
        """Tell whether a key is valid; how long that takes does not depend on the key."""
        self._look()
        digest = _digest(key)
        found = False
        for known in self._digests:
            found |= hmac.compare_digest(known, digest)
        return found

    def _look(self) -> None:
        """Read the files again if they changed; while they cannot be read, what was read before counts."""
        now = self._clock()
        if now - self._looked < LOOK_AGAIN_SECONDS:
            return
        self._looked = now
        try:
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._digests, self._stamp = self._read(), stamp
                logger.info("read the API keys again: %d are valid", len(self._digests))
        except (OSError, UnicodeDecodeError):
            logger.exception("cannot read the API keys; those read before stay valid")

    def _read(self) -> tuple[bytes, ...]:
        lines = [line.strip() for file in self._files() for line in file.read_text(encoding="utf-8").splitlines()]
        return tuple(_digest(line) for line in lines if line and not line.startswith("#"))

    def _stamp_now(self) -> Stamp:
        found = ((str(file), file.stat()) for file in self._files())
        return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found)

    def _files(self) -> Iterator[Path]:
        for path in self._paths:
            if path.is_dir():  # names with a dot are Kubernetes' own, or hidden
                yield from sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
            else:
                yield path


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
