"""The fetch step: a source's pinned commit becomes an entry of the store, and a description of the model.

It also says which export and engine are in the store already, since it alone runs before anything else is known.
How sources are asked is in `upstream.py`, how files come down in `transfer.py`.
"""

import asyncio
import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from embedplane_server.bucket import Bucket
from embedplane_server.builders.machine import machine_class
from embedplane_server.builders.manifest import backend_version, engine_entry, engine_key, find_engine
from embedplane_server.errors import NoEngineError, PermanentError, PermanentReason
from embedplane_server.export.manifest import (
    OwnReferencesManifest,
    export_entry,
    export_key,
    find_export,
    own_references_key,
)
from embedplane_server.hub import Hub
from embedplane_server.model import readme
from embedplane_server.model.chain import Chain
from embedplane_server.model.description import read_model
from embedplane_server.model.parts import part_digests
from embedplane_server.model.tensorrt_llm import exactness
from embedplane_server.progress import Progress
from embedplane_server.results import (
    BuildResult,
    FetchResult,
    TensorRtLlmResult,
    set_aside_results,
    vector_space_result,
)
from embedplane_server.settings import (
    EngineSettings,
    ExportFormat,
    FetchSettings,
    HuggingFaceSource,
    ObjectStorageSource,
)
from embedplane_server.sources import ModelAbout, SourceDocument, model_entry, source_document
from embedplane_server.store import Entry, Store, open_store
from embedplane_server.transfer import Origin, bring_down, staging
from embedplane_server.upstream import (
    ask_bucket,
    ask_hub,
    chosen_files,
    commit_of,
    digest_of_files,
    open_bucket,
    open_hub,
)

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model in the store, with its files in a local folder."""

    commit: str
    digest: str
    entry: Entry
    directory: Path
    mentions: tuple[str, ...] = ()
    """The prompts that the model's README names."""


async def fetch(settings: FetchSettings, progress: Progress) -> FetchResult:
    """Bring the model into the store unless it is there, and describe it."""
    store = open_store(settings.store)
    stored = await _bring(store, settings, progress)
    digests = {name: file.sha256 for name, file in stored.entry.files.items()}
    reading = read_model(stored.directory, settings.overrides, digests)
    description = reading.describe()
    progress.say(f"vector space {description.vector_space}: {description.architecture}, commit {stored.commit[:19]}")
    unsaid = reading.unsaid(stored.mentions)
    for each in unsaid:
        progress.say(each.told)
    return FetchResult(
        commit=stored.commit,
        digest=stored.digest,
        size_bytes=stored.entry.size_bytes,
        architecture=description.architecture,
        vector_space=vector_space_result(description, unsaid, part_digests(reading.form)),
        export_keys=await _exports(store, description.vector_space, settings.engine.texts),
        engine=await _engine(store, description.vector_space, settings.engine),
        tensorrt_llm=_tensorrt_llm(reading.chain) if settings.engine.gpu else None,
        set_aside=set_aside_results(store.quarantine.put),
    )


async def _bring(store: Store, settings: FetchSettings, progress: Progress) -> StoredModel:
    source = settings.source
    if source.hugging_face is not None:
        return await _from_hub(store, source.hugging_face, open_hub(source.hugging_face, settings), progress)
    if source.object_storage is not None:
        return await _from_bucket(store, source.object_storage, open_bucket(source.object_storage, settings), progress)
    assert source.path is not None
    return await _from_folder(store, source.path, progress)


def _tensorrt_llm(chain: Chain) -> TensorRtLlmResult:
    found = exactness(chain)
    return TensorRtLlmResult(is_exact=found.is_exact, reason=found.reason)


async def _exports(store: Store, vector_space: str, texts: str | None) -> dict[str, str]:
    """Return the exports that a build can use: with the references of the user's own texts, if there are such."""
    if texts is not None:
        own = export_entry(own_references_key(vector_space, texts))
        if await store.find_about(own, OwnReferencesManifest) is None or await store.use(own) is None:
            return {}
    formats: tuple[ExportFormat, ...] = get_args(ExportFormat)
    keys = {format_: export_key(vector_space, format_) for format_ in formats}
    return {format_: key for format_, key in keys.items() if await _is_usable(store, key)}


async def _is_usable(store: Store, key: str) -> bool:
    return await find_export(store, key) is not None and await store.use(export_entry(key)) is not None


async def _engine(store: Store, vector_space: str, settings: EngineSettings) -> BuildResult | None:
    machine = machine_class()
    try:
        key = engine_key(vector_space, settings, backend_version(settings.backend), machine)
        manifest, _ = await find_engine(store, key, machine)
    except NoEngineError:
        return None
    except PermanentError as error:
        # A backend of another image: this step cannot know its version, and so not its engines.
        if error.reason == PermanentReason.BACKEND_UNAVAILABLE:
            return None
        raise
    is_there = await store.use(engine_entry(key, manifest.variant)) is not None
    return manifest.result() if is_there else None


async def _from_folder(store: Store, folder: Path, progress: Progress) -> StoredModel:
    stored = await _publish(store, folder, await chosen_files(folder, progress), None)
    return replace(stored, mentions=readme.read_mentions(folder / readme.NAME))


async def _publish(store: Store, folder: Path, chosen: Sequence[str], commit: str | None) -> StoredModel:
    digest = await asyncio.to_thread(digest_of_files, folder, chosen)
    known = commit or commit_of(digest)
    if (stored := await _stored(store, digest, known)) is not None:
        return stored
    name = model_entry(digest)
    entry = await store.publish(name, folder, chosen, ModelAbout(commit=known).model_dump())
    # What an object store has would only come back again.
    directory = folder if store.root is None else await store.local_directory(name, entry)
    return StoredModel(known, digest, entry, directory)


async def _stored(store: Store, digest: str, commit: str) -> StoredModel | None:
    """Return a model of the store; a damaged one is set aside, so that it is made again.

    The digests of its weights are known, so they need not come from an object store.
    """
    found = await store.find_intact(model_entry(digest), ModelAbout, lambda path: path.endswith(".json"))
    return None if found is None else StoredModel(commit, digest, found.entry, found.directory)


async def _from_hub(store: Store, source: HuggingFaceSource, hub: Hub, progress: Progress) -> StoredModel:
    place = _place(f"{hub.endpoint}/{source.repo}")
    if _COMMIT.fullmatch(source.revision) and (stored := await _known(store, place, source.revision)) is not None:
        progress.say(f"{source.repo} at {source.revision[:12]} is in the store")
        return stored
    snapshot = await ask_hub(hub, source.revision, progress)

    async def bring(name: str, target: Path) -> None:
        await asyncio.to_thread(hub.download, snapshot.commit, snapshot.files[name], target)

    sizes = {name: file.size for name, file in snapshot.files.items()}
    return await _fetched(store, Origin(place, snapshot.commit, sizes, bring), progress)


async def _from_bucket(store: Store, source: ObjectStorageSource, bucket: Bucket, progress: Progress) -> StoredModel:
    place = _place(bucket.url)
    if source.commit is not None and (stored := await _known(store, place, source.commit)) is not None:
        progress.say(f"{bucket.url} as it was pinned is in the store")
        return stored
    listing = await ask_bucket(bucket, progress)
    if source.commit not in (None, listing.commit):
        raise bucket.moved_since(str(source.commit))

    async def bring(name: str, target: Path) -> None:
        await bucket.download(listing.files[name], target)

    sizes = {name: file.size for name, file in listing.files.items()}
    return await _fetched(store, Origin(place, listing.commit, sizes, bring), progress)


async def _fetched(store: Store, origin: Origin, progress: Progress) -> StoredModel:
    async with staging(store, f"{origin.place}-{_hex(origin.commit)}") as folder:
        if (stored := await _known(store, origin.place, origin.commit)) is not None:
            progress.say(f"commit {origin.commit[:18]} is in the store")
            return stored
        chosen = await bring_down(origin, folder, progress)
        stored = await _publish(store, folder, chosen, origin.commit)
        mentions = readme.read_mentions(folder / readme.NAME)
        document = SourceDocument(digest=stored.digest, mentions=mentions).model_dump_json()
        await store.write(source_document(origin.place, _hex(origin.commit)), document.encode())
        if stored.directory != folder:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return replace(stored, mentions=mentions)


def _place(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def _hex(commit: str) -> str:
    return commit.rpartition(":")[2]


async def _known(store: Store, place: str, commit: str) -> StoredModel | None:
    content = await store.read(source_document(place, _hex(commit)))
    try:
        document = None if content is None else SourceDocument.model_validate_json(content)
    except ValidationError:
        return None  # it is written again
    stored = None if document is None else await _stored(store, document.digest, commit)
    return None if document is None or stored is None else replace(stored, mentions=document.mentions)
