"""What a source has now: a hub's revision is a commit, a bucket's listing another, a folder's files a digest.

`fetch` and `resolve` ask; a hub is in `hub.py`, object storage in `bucket.py`.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from embedplane_server.bucket import Bucket, Listing
from embedplane_server.errors import PermanentError, PermanentReason, invalid_settings
from embedplane_server.hub import Hub, Snapshot
from embedplane_server.model.chain import read_chain
from embedplane_server.model.files import configuration_files, weight_files
from embedplane_server.model.places import module_places
from embedplane_server.progress import Progress
from embedplane_server.settings import HuggingFaceSource, ObjectStorageSource, ResolveSettings
from embedplane_server.store import digest_of, files_below
from embedplane_server.store.entries import stored_files


def open_hub(source: HuggingFaceSource, settings: ResolveSettings) -> Hub:
    """Return the repository, as the token of the settings sees it."""
    return Hub(source.repo, source.endpoint, _token(settings.token_file))


async def ask_hub(hub: Hub, revision: str, progress: Progress) -> Snapshot:
    """Return the commit that a revision names now, with its files."""
    progress.say(f"asking {hub.endpoint} for {hub.repo} at {revision}")
    return await asyncio.to_thread(hub.resolve, revision)


def open_bucket(source: ObjectStorageSource, settings: ResolveSettings) -> Bucket:
    """Return the folder in object storage, as the credentials of the settings see it."""
    return Bucket(source, settings.source_credentials, os.environ)


async def ask_bucket(bucket: Bucket, progress: Progress) -> Listing:
    """Return what lies there now."""
    progress.say(f"listing {bucket.url}")
    return await bucket.list()


async def chosen_files(folder: Path, progress: Progress) -> list[str]:
    """Return the files that a model in a folder consists of; what cannot be served is refused."""
    if not await asyncio.to_thread(folder.is_dir):
        raise PermanentError(
            PermanentReason.PATH_NOT_FOUND,
            f"{folder} is not a folder. Correct source.persistentVolumeClaim.path, its place in the claim.",
        )
    progress.say(f"reading {folder}")
    names = await asyncio.to_thread(files_below, folder)
    places = module_places(folder)
    read_chain(folder)  # what cannot be served is refused before it is copied
    return [*configuration_files(names, places), *weight_files(names, places)]


def digest_of_files(folder: Path, chosen: Sequence[str]) -> str:
    """Return the digest of a model whose files lie in a folder."""
    return digest_of({name: file.sha256 for name, file in stored_files(folder, chosen).items()})


def commit_of(digest: str) -> str:
    """Return what stands for the commit of a source that has none."""
    return f"sha256:{digest}"


def _token(path: Path | None) -> str | None:
    """Return the hub's token; None where none is wanted."""
    if path is None:
        return None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise invalid_settings(
            f"the token cannot be read from {path}: {error}. Check the Secret and its key."
        ) from error
    if not token:
        raise PermanentError(
            PermanentReason.ACCESS_DENIED, f"the token in {path} is empty. Put a token into the Secret."
        )
    return token
