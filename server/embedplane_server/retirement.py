"""Whether this server's vector space retires, as a file says that the operator's annotation reaches (docs/contract.md).

Clients pool connections, and one that is open goes on leading to the old space; so each is closed after its answer.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 1.0
RETIRING = "Retiring"


class Retirement:
    """Looks at the file at most once a second; without one, or while it cannot be read, nothing retires."""

    def __init__(self, file: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._looked = float("-inf")
        self._is_retiring = False

    @property
    def is_retiring(self) -> bool:
        now = self._clock()
        if self._file is not None and now - self._looked >= LOOK_AGAIN_SECONDS:
            self._looked = now
            self._look(self._file)
        return self._is_retiring

    def _look(self, file: Path) -> None:
        try:
            found = file.read_text(encoding="utf-8").strip() == RETIRING
        except (OSError, UnicodeDecodeError):
            found = False
        if found != self._is_retiring:
            logger.info(
                "the vector space %s", "retires: connections are closed" if found else "does not retire any more"
            )
        self._is_retiring = found
