"""The resolve step: which commit a source names now. It downloads nothing and leaves the store alone.

The operator compares the answer with the commit that is pinned. `fetch.py` pins and brings the files.
"""

import asyncio

from embedplane_server.progress import Progress
from embedplane_server.results import ResolveResult
from embedplane_server.settings import ResolveSettings, Source
from embedplane_server.upstream import (
    ask_bucket,
    ask_hub,
    chosen_files,
    commit_of,
    digest_of_files,
    open_bucket,
    open_hub,
)


async def resolve(settings: ResolveSettings, progress: Progress) -> ResolveResult:
    """Ask the source; a folder, which has no commits, is read once through."""
    return ResolveResult(commit=await _commit(settings.source, settings, progress))


async def _commit(source: Source, settings: ResolveSettings, progress: Progress) -> str:
    if source.object_storage is not None:
        return (await ask_bucket(open_bucket(source.object_storage, settings), progress)).commit
    if source.hugging_face is not None:
        hub = open_hub(source.hugging_face, settings)
        return (await ask_hub(hub, source.hugging_face.revision, progress)).commit
    assert source.path is not None
    chosen = await chosen_files(source.path, progress)
    return commit_of(await asyncio.to_thread(digest_of_files, source.path, chosen))
