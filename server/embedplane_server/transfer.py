"""How a source's files come down: into a folder of their own, the small ones first, since they decide which weights.

Which files a model has is in `model/files.py`, what a source is in `hub.py` and `bucket.py`.
"""

import asyncio
import fcntl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from embedplane_server.model import readme
from embedplane_server.model.chain import read_chain
from embedplane_server.model.files import configuration_files, weight_files
from embedplane_server.model.places import module_places
from embedplane_server.progress import Progress
from embedplane_server.sources import STAGING
from embedplane_server.store import Store


@dataclass(frozen=True, slots=True)
class Origin:
    """A source at one commit."""

    place: str
    """Names the source in the store."""
    commit: str
    sizes: Mapping[str, int]
    """Bytes of every file that it has."""
    bring: Callable[[str, Path], Awaitable[None]]
    """Brings a file down to a path, by way of the path with `.partial` behind it."""


async def bring_down(origin: Origin, folder: Path, progress: Progress) -> list[str]:
    """Bring down what the model needs and return the names."""
    names = origin.sizes.keys()
    await _bring(origin, configuration_files(names), folder, progress)
    places = module_places(folder)
    configuration = configuration_files(names, places)
    await _bring(origin, configuration, folder, progress)
    read_chain(folder)
    weights = weight_files(names, places)
    await _bring(origin, weights, folder, progress)
    if 0 < origin.sizes.get(readme.NAME, 0) <= readme.MOST_BYTES:
        await _bring(origin, [readme.NAME], folder, progress)
    return [*configuration, *weights]


async def _bring(origin: Origin, names: Sequence[str], folder: Path, progress: Progress) -> None:
    for name in names:
        size = origin.sizes[name]
        if size > 1 << 20:
            progress.say(f"downloading {name} ({size / 1e6:.0f} MB)")
        transfer = asyncio.ensure_future(origin.bring(name, folder / name))
        partial = folder / f"{name}.partial"
        while not (await asyncio.wait({transfer}, timeout=1))[0]:
            progress.share(name, await asyncio.to_thread(_size, partial), size)
        await transfer


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@asynccontextmanager
async def staging(store: Store, name: str) -> AsyncIterator[Path]:
    """Lock and return a folder for one commit's download; another fetch of the same commit waits and finds it done."""
    parent = (store.root or Path(tempfile.gettempdir()) / "embedplane") / STAGING
    await asyncio.to_thread(parent.mkdir, parents=True, exist_ok=True)
    folder = parent / name
    with (parent / f"{name}.lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        folder.mkdir(exist_ok=True)
        yield folder
