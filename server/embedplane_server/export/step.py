"""The export step: a stored model becomes a portable graph, a tokenizer and fp32 reference vectors."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import torch
from sentence_transformers import SentenceTransformer

from embedplane_server.builders.conformance import load_references
from embedplane_server.builders.machine import usable_cpus
from embedplane_server.export import graph, packing, reference
from embedplane_server.export.manifest import (
    ONNX_GRAPH,
    OPENVINO_GRAPH,
    ExportManifest,
    OwnReferencesManifest,
    export_entry,
    export_key,
    own_references_key,
)
from embedplane_server.export.own_texts import OwnText, read_own_texts
from embedplane_server.export.proofs import Prover, prover
from embedplane_server.model import ModelDescription, describe
from embedplane_server.progress import Progress
from embedplane_server.results import ExportResult, set_aside_results
from embedplane_server.settings import ExportFormat, ExportSettings
from embedplane_server.sources import need_model
from embedplane_server.store import Store, files_below, open_store

_LIBRARIES = ("torch", "transformers", "sentence-transformers", "tokenizers", "openvino")


@dataclass(frozen=True, slots=True)
class Order:
    """One export to be made: of which model folder, as what."""

    settings: ExportSettings
    source: Path
    commit: str
    description: ModelDescription

    @property
    def key(self) -> str:
        return export_key(self.description.vector_space, self.settings.format)

    @property
    def own_key(self) -> str:
        """The key of the references of the user's own texts."""
        return own_references_key(self.description.vector_space, self.settings.texts or "")


async def export(settings: ExportSettings, progress: Progress) -> ExportResult:
    """Make what the store has not: the export, and the references of the user's own texts."""
    store = open_store(settings.store)
    model = await need_model(store, settings.model_digest)
    digests = {name: file.sha256 for name, file in model.entry.files.items()}
    description = describe(model.directory, settings.overrides, digests)
    order = Order(settings, model.directory, model.about.commit, description)
    own_texts = await _missing_own_texts(store, order)
    found = await store.find_intact(export_entry(order.key), ExportManifest)
    if found is None:
        manifest = await _publish(store, order.key, ExportManifest, lambda folder: _make(order, folder, progress))
    else:
        progress.say(f"{export_entry(order.key)} is in the store")
        manifest = found.about
    if own_texts is not None:
        progress.say(f"{len(own_texts)} texts of your own are compared as well")
        await _publish(
            store,
            order.own_key,
            OwnReferencesManifest,
            lambda folder: _make_own_references(order, own_texts, folder, progress),
        )
    return ExportResult(export_key=order.key, texts=manifest.texts, set_aside=set_aside_results(store.quarantine.put))


async def _missing_own_texts(store: Store, order: Order) -> list[OwnText] | None:
    """Return the user's texts, unless there are none or the store has their references."""
    if order.settings.texts is None:
        return None
    found = await store.find_intact(export_entry(order.own_key), OwnReferencesManifest)
    return None if found else read_own_texts(order.settings.texts_folder, order.settings.texts)


Manifest = TypeVar("Manifest", ExportManifest, OwnReferencesManifest)


async def _publish(store: Store, key: str, kind: type[Manifest], make: Callable[[Path], Manifest]) -> Manifest:
    """Make the files of an entry and put them into the store; another writer's are as good."""
    name = export_entry(key)
    with tempfile.TemporaryDirectory(prefix="embedplane-export-") as place:
        folder = Path(place)
        manifest = await asyncio.to_thread(make, folder)
        entry = await store.publish(name, folder, files_below(folder), manifest.model_dump(mode="json"))
    return store.about(name, entry, kind)


def _load(order: Order, folder: Path, progress: Progress) -> Prover:
    torch.set_num_threads(usable_cpus())
    progress.say("loading the model in sentence-transformers")
    return prover(reference.load_reference(order.source, order.description), order.description, folder, progress)


def _make_own_references(order: Order, texts: list[OwnText], folder: Path, progress: Progress) -> OwnReferencesManifest:
    count = _load(order, folder, progress).own(folder, texts)
    return OwnReferencesManifest(key=order.own_key, vector_space=order.description.vector_space, texts=count)


def _make(order: Order, folder: Path, progress: Progress) -> ExportManifest:
    proofs = _load(order, folder, progress)
    texts = proofs.golden(folder)
    _write_graph(proofs.model, order.settings.format, folder, progress)
    return ExportManifest(
        key=order.key,
        format=order.settings.format,
        vector_space=order.description.vector_space,
        description=order.description,
        model_digest=order.settings.model_digest,
        commit=order.commit,
        texts=texts,
        versions={name: version(name) for name in _LIBRARIES},
    )


def _write_graph(model: reference.Model, format: ExportFormat, folder: Path, progress: Progress) -> None:  # noqa: A002 -- the word of docs/contract.md
    signature = reference.signature_of(model, format)
    chain = None
    # Pooling that leaves a prompt out takes a mask of its own, which the chain for rows has not.
    if signature == graph.EMBEDDING_WITH_TOKENS and isinstance(model, SentenceTransformer):
        progress.say("looking whether texts can share rows")
        chain = packing.packed_chain(model, signature.outputs, load_references(folder).token_ids)
    progress.say("tracing the module chain" if chain is None else "tracing the module chain for packed rows")
    program = graph.trace(model, signature) if chain is None else packing.trace(chain)
    signature = signature if chain is None else packing.signature_of(signature.outputs)
    progress.say(f"writing the {format} graph")
    if format == "openvino":
        graph.write_openvino(program, signature, folder / OPENVINO_GRAPH)
    else:
        graph.write_onnx(program, signature, folder / ONNX_GRAPH)
