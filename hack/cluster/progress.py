"""Say what is being done and how long it took. Everything in hack/ that takes more than a moment goes through here."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GIGABYTE = 1_000_000_000
HEARTBEAT_SECONDS = 20.0


class SetupError(Exception):
    """What the user can act on: printed without a traceback."""


def say(text: str) -> None:
    """Print a line at once, also through a pipe."""
    print(text, flush=True)


class Step:
    """One running step; `detail` is shown with its next sign of life."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.detail = ""
        self._started = time.monotonic()
        self._over = threading.Event()
        self._beat = threading.Thread(target=self._show_life, daemon=True)

    def begin(self) -> None:
        say(f"  {self.what} ...")
        self._beat.start()

    def end(self, outcome: str = "") -> None:
        self._over.set()
        self._beat.join()
        say(f"  {self.what}: {outcome}{time.monotonic() - self._started:.1f} s")

    def _show_life(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            say(f"  {self.what} ... {time.monotonic() - self._started:.0f} s {self.detail}".rstrip())


@contextmanager
def step(what: str) -> Iterator[Step]:
    """Print what is being done, a sign of life while it lasts, and how long it took."""
    running = Step(what)
    running.begin()
    try:
        yield running
    except BaseException:
        running.end("FAILED after ")
        raise
    running.end()


def require_room(folder: Path, gigabytes: float, purpose: str) -> None:
    """Refuse before any work when the disk below `folder` has too little room."""
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(existing).free / GIGABYTE
    if free < gigabytes:
        raise SetupError(
            f"{purpose} needs {gigabytes:.0f} GB on the disk of {existing}, {free:.1f} GB are free. "
            "Make room, or set EMBEDPLANE_CACHE to a folder on a larger disk."
        )


def complain(error: SetupError) -> int:
    """Print a fault the way commands end with it, and return the exit code."""
    print(f"error: {error}", file=sys.stderr, flush=True)
    return 1
