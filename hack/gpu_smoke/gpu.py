"""The GPU of this machine, in the words of its nvidia-smi."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hack.gpu_smoke.containers import ask

_PAUSE_SECONDS = 0.5
FORMAT = ("--format=csv,noheader,nounits", "--id=0")
FACTS = ("--query-gpu=name,compute_cap,driver_version,memory.total", *FORMAT)


@dataclass(frozen=True)
class Gpu:
    """The first GPU."""

    name: str
    compute_capability: str
    driver: str
    megabytes: int
    cuda: str
    """The newest CUDA that the driver knows by itself."""

    @property
    def driver_branch(self) -> int:
        return int(self.driver.partition(".")[0])


def parse(line: str, banner: str) -> Gpu | None:
    """Return what nvidia-smi says of the first GPU, None when it says something else."""
    parts = [part.strip() for part in line.strip().split("\n", 1)[0].split(",")]
    if len(parts) != 4 or not parts[3].isdigit() or not parts[2][:1].isdigit():
        return None
    found = re.search(r"CUDA (?:UMD )?Version: *([0-9.]+)", banner)
    return Gpu(parts[0], parts[1], parts[2], int(parts[3]), found[1] if found else "?")


def find_gpu() -> Gpu | None:
    """Return this machine's first GPU, None without a driver that answers."""
    facts = ask("nvidia-smi", *FACTS)
    return parse(facts.output, ask("nvidia-smi").output) if facts.exit_code == 0 else None


class MemoryWatch:
    """The most memory of the GPU that was in use, in MiB, by whatever process."""

    def __init__(self) -> None:
        self.most: int | None = None

    def look(self) -> None:
        """Ask once."""
        said = ask("nvidia-smi", "--query-gpu=memory.used", *FORMAT).output.strip()
        if said.isdigit():
            self.most = max(self.most or 0, int(said))


@contextmanager
def watched_memory() -> Iterator[MemoryWatch]:
    """Ask twice a second until the block ends, and once more."""
    watch, is_over = MemoryWatch(), threading.Event()

    def look_on() -> None:
        while not is_over.wait(_PAUSE_SECONDS):
            watch.look()

    thread = threading.Thread(target=look_on, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        is_over.set()
        thread.join()
        watch.look()
