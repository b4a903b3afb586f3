"""The resolve step: which commit a source names now. It downloads nothing and leaves the store alone.

The operator compares the answer with the commit that is pinned. `fetch.py` pins and brings the files.
"""

import asyncio
import os

from embedplane_server.bucket import Bucket
from embedplane_server.fetch import chosen_files, commit_of, digest_of_files, read_token
from embedplane_server.hub import Hub
from embedplane_server.progress import Progress
from embedplane_server.results import ResolveResult
from embedplane_server.settings import ResolveSettings


async def resolve(settings: ResolveSettings, progress: Progress) -> ResolveResult:
    """Ask the source; a folder, which has no commits, is read once through."""
    if settings.source.object_storage is not None:
        bucket = Bucket(settings.source.object_storage, settings.source_credentials, os.environ)
        progress.say(f"listing {bucket.url}")
        return ResolveResult(commit=(await bucket.list()).commit)
    source = settings.source.hugging_face
    if source is not None:
        hub = Hub(source.repo, source.endpoint, read_token(settings.token_file))
        progress.say(f"asking {hub.endpoint} for {source.repo} at {source.revision}")
        snapshot = await asyncio.to_thread(hub.resolve, source.revision)
        return ResolveResult(commit=snapshot.commit)
    assert settings.source.path is not None
    folder = settings.source.path
    chosen = await chosen_files(folder, progress)
    return ResolveResult(commit=commit_of(await asyncio.to_thread(digest_of_files, folder, chosen)))
