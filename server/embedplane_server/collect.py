"""The collect step: what no model uses any more, and is older than the grace period, goes from the store.

The operator says what is in use. How an entry is removed side by side with its users is in `store/collection.py`; here
is what belongs to `fetch`: documents of commits whose model is gone, and downloads that nobody goes on with.
"""

import asyncio
import fcntl
import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from embedplane_server.progress import Progress
from embedplane_server.results import CollectResult
from embedplane_server.settings import CollectSettings
from embedplane_server.sources import SOURCES, STAGING, SourceDocument, model_entry
from embedplane_server.store import Kept, Store, open_store


async def collect(settings: CollectSettings, progress: Progress) -> CollectResult:
    """Remove what nobody uses; the first failure is told once everything else is done."""
    store = open_store(settings.store)
    cutoff = settings.keep_as_of.astimezone(UTC) - timedelta(seconds=settings.grace_seconds)
    progress.say(f"{len(settings.keep)} names are in use; what nobody used since {cutoff:%Y-%m-%d %H:%M:%S} UTC goes")
    done = await store.collect(Kept(frozenset(settings.keep), cutoff))
    done.removed["leftovers"] += await _remove_documents(store, cutoff)
    if store.root is not None:
        done.removed["leftovers"] += await asyncio.to_thread(_remove_downloads, store.root / STAGING, cutoff)
    for failure in done.failures:
        progress.say(failure.message)
    removed = ", ".join(f"{count} {kind}" for kind, count in done.removed.items())
    progress.say(f"removed {removed}: {done.removed_bytes / 1e6:.1f} MB; {done.in_use} entries are in use")
    if done.failures:
        raise done.failures[0]
    return CollectResult(
        **done.removed,
        removed_bytes=done.removed_bytes,
        in_use=done.in_use,
        waiting=done.waiting,
        spared=done.spared,
    )


async def _remove_documents(store: Store, cutoff: datetime) -> int:
    """Remove what says which model a commit is, once the store has no such model; a fetch writes it again."""
    count = 0
    for each in await store.listed(SOURCES):
        if each.modified < cutoff and not await _names_a_model(store, each.path):
            await store.remove_document(each.path)
            count += 1
    return count


async def _names_a_model(store: Store, path: str) -> bool:
    content = await store.read(path)
    try:
        document = None if content is None else SourceDocument.model_validate_json(content)
    except ValidationError:
        return False
    return document is not None and await store.find(model_entry(document.digest)) is not None


def _remove_downloads(staging: Path, cutoff: datetime) -> int:
    """Remove folders of downloads that are old and locked by nobody; the locks stay, they are empty."""
    count = 0
    for lock in sorted(staging.glob("*.lock")):
        folder = lock.with_suffix("")
        if not folder.is_dir() or _changed(folder) >= cutoff.timestamp():
            continue
        with lock.open("a") as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
            count += 1
    return count


def _changed(folder: Path) -> float:
    """When something in a folder was written last, in seconds of the epoch."""
    times = [folder.stat().st_mtime]
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # renamed meanwhile
            times.append(path.stat().st_mtime)
    return max(times)
