"""For people at a terminal: what a model is (`describe`), and how near an engine comes to its reference (`compare`)."""

import tempfile
from pathlib import Path

import numpy as np

from embedplane_server.builders.conformance import load_references, text_nearness
from embedplane_server.builders.machine import machine_class
from embedplane_server.builders.manifest import engine_entry, find_engine
from embedplane_server.engines.base import Batch
from embedplane_server.engines.load import load_engine
from embedplane_server.errors import invalid_settings
from embedplane_server.hub import Hub
from embedplane_server.model import ModelDescription, describe
from embedplane_server.model.chain import read_chain
from embedplane_server.model.description import file_sha256
from embedplane_server.model.files import configuration_files, weight_files
from embedplane_server.model.places import module_places
from embedplane_server.settings import HuggingFaceSource, Overrides, Source
from embedplane_server.store import open_store


def source_of(model: str, revision: str = "main", endpoint: str | None = None) -> Source:
    """Return the source that a path or a repository id names."""
    if Path(model).is_dir():
        return Source(path=Path(model).resolve())
    if model.startswith((".", "/", "~")):
        raise invalid_settings(f"{model} is not a folder. Give that of a sentence-transformers model, or a repository.")
    return Source(hugging_face=HuggingFaceSource(repo=model, revision=revision, endpoint=endpoint))


def describe_source(source: Source, overrides: Overrides, token: str | None = None) -> ModelDescription:
    """Describe a folder, or a repository without downloading its weights: the hub knows their digests."""
    if source.path is not None:
        return describe(source.path, overrides)
    assert source.hugging_face is not None
    hub = Hub(source.hugging_face.repo, source.hugging_face.endpoint, token)
    snapshot = hub.resolve(source.hugging_face.revision)
    with tempfile.TemporaryDirectory(prefix="embedplane-describe-") as name:
        folder = Path(name)
        for file in configuration_files(snapshot.files):
            hub.download(snapshot.commit, snapshot.files[file], folder / file)
        places = module_places(folder)
        for file in configuration_files(snapshot.files, places):
            hub.download(snapshot.commit, snapshot.files[file], folder / file)
        read_chain(folder)
        weights = [snapshot.files[file] for file in weight_files(snapshot.files, places)]
        for weight in weights:
            if weight.sha256 is None:
                hub.download(snapshot.commit, weight, folder / weight.name)
        known = {weight.name: weight.sha256 or file_sha256(folder / weight.name) for weight in weights}
        return describe(folder, overrides, known)


async def compare(store_url: str, key: str, threads: int) -> list[str]:
    """Return a table: the tokens of each golden text, and the cosine of the engine's vector to the reference.

    Of scores it has what counts as a cosine, see `builders/agreement.py`.
    """
    store = open_store(store_url)
    manifest, entry = await find_engine(store, key, machine_class())
    directory = await store.local_directory(engine_entry(key, manifest.variant), entry)
    references = load_references(directory)
    engine = load_engine(directory, threads)
    alone = np.concatenate([engine.embed(Batch([ids])) for ids in references.token_ids])
    cosines = text_nearness(manifest.description.activation, alone, references.vectors)
    rows = sorted(zip(map(len, references.token_ids), cosines, strict=True))
    return [
        f"{manifest.backend} {manifest.backend_version}, {manifest.precision}, {manifest.variant}",
        "tokens     cosine",
        *(f"{tokens:6d}  {value:.7f}" for tokens, value in rows),
        f"{len(rows)} texts: minimum {cosines.min():.7f}, mean {cosines.mean():.7f}",
    ]
