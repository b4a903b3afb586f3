"""For people at a terminal: what a model is (`describe`)."""

import tempfile
from pathlib import Path
from typing import Any

from embedplane_server.errors import invalid_settings
from embedplane_server.hub import Hub
from embedplane_server.model import readme
from embedplane_server.model.chain import read_chain
from embedplane_server.model.description import file_sha256
from embedplane_server.model.explanation import explain
from embedplane_server.model.files import configuration_files, weight_files
from embedplane_server.model.places import module_places
from embedplane_server.settings import HuggingFaceSource, Overrides, Source


def source_of(model: str, revision: str = "main", endpoint: str | None = None) -> Source:
    """Return the source that a path or a repository id names."""
    if Path(model).is_dir():
        return Source(path=Path(model).resolve())
    if model.startswith((".", "/", "~")):
        raise invalid_settings(f"{model} is not a folder. Give that of a sentence-transformers model, or a repository.")
    return Source(hugging_face=HuggingFaceSource(repo=model, revision=revision, endpoint=endpoint))


def describe_source(source: Source, overrides: Overrides, token: str | None = None) -> dict[str, Any]:
    """Explain a folder, or a repository without downloading its weights: the hub knows their digests."""
    if source.path is not None:
        return explain(source.path, overrides, mentions=readme.read_mentions(source.path / readme.NAME))
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
        if (told := snapshot.files.get(readme.NAME)) is not None and told.size <= readme.MOST_BYTES:
            hub.download(snapshot.commit, told, folder / readme.NAME)
        return explain(folder, overrides, known, readme.read_mentions(folder / readme.NAME))
