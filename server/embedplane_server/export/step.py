"""The export step: a stored model becomes a portable graph, a tokenizer and fp32 reference vectors."""

import asyncio
import json
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from embedplane_server.builders.conformance import References, save_references
from embedplane_server.builders.machine import usable_cpus
from embedplane_server.engines.base import PromptedIds, TypedIds
from embedplane_server.errors import TransientError, TransientReason, unsupported_model
from embedplane_server.export import graph, reference
from embedplane_server.export.golden import load_golden_texts, paired
from embedplane_server.export.manifest import (
    GOLDEN_TEXTS,
    ONNX_GRAPH,
    OPENVINO_GRAPH,
    TOKENIZER,
    ExportManifest,
    export_entry,
    export_key,
)
from embedplane_server.model import ModelDescription, describe
from embedplane_server.progress import Progress
from embedplane_server.prompt_tokens import prompt_tokens
from embedplane_server.results import ExportResult, set_aside_results
from embedplane_server.settings import ExportSettings
from embedplane_server.sources import ModelAbout, model_entry
from embedplane_server.special_tokens import SpecialTokens
from embedplane_server.store import files_below, open_store
from embedplane_server.tokenization import Text, load_tokenizer

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


async def export(settings: ExportSettings, progress: Progress) -> ExportResult:
    """Make the export unless the store has it."""
    store = open_store(settings.store)
    model = await store.find_intact(model_entry(settings.model_digest), ModelAbout)
    if damaged := store.quarantine.of(model_entry(settings.model_digest)):
        raise TransientError(TransientReason.MODEL_CORRUPT, f"{damaged.told}. It is fetched again.")
    if model is None:
        raise TransientError(
            TransientReason.MODEL_MISSING,
            f"the model {settings.model_digest} is not in the store; it was removed. It is fetched again.",
        )
    digests = {name: file.sha256 for name, file in model.entry.files.items()}
    description = describe(model.directory, settings.overrides, digests)
    order = Order(settings, model.directory, model.about.commit, description)
    if (found := await store.find_intact(export_entry(order.key), ExportManifest)) is not None:
        progress.say(f"{export_entry(order.key)} is in the store")
        return ExportResult(export_key=order.key, texts=found.about.texts)
    with tempfile.TemporaryDirectory(prefix="embedplane-export-") as name:
        folder = Path(name)
        manifest = await asyncio.to_thread(_make, order, folder, progress)
        progress.say(f"publishing {export_entry(order.key)}")
        about = manifest.model_dump(mode="json")
        await store.publish(export_entry(order.key), folder, files_below(folder), about)
    return ExportResult(export_key=order.key, texts=manifest.texts, set_aside=set_aside_results(store.quarantine.put))


def _make(order: Order, folder: Path, progress: Progress) -> ExportManifest:
    torch.set_num_threads(usable_cpus())
    progress.say("loading the model in sentence-transformers")
    model = reference.load_reference(order.source, order.description)
    texts = _write_references(model, order.description, folder, progress)
    progress.say("tracing the module chain")
    signature = reference.signature_of(model, order.settings.format)
    program = graph.trace(model, signature)
    progress.say(f"writing the {order.settings.format} graph")
    if order.settings.format == "openvino":
        graph.write_openvino(program, signature, folder / OPENVINO_GRAPH)
    else:
        graph.write_onnx(program, signature, folder / ONNX_GRAPH)
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


def _write_references(model: reference.Model, description: ModelDescription, folder: Path, progress: Progress) -> int:
    """Write tokenizer, golden texts and reference vectors; return how many texts there are."""
    (folder / TOKENIZER).write_text(reference.tokenizer_document(model), encoding="utf-8")
    tokenizer = load_tokenizer(folder / TOKENIZER)
    window = description.max_sequence_length
    prompt = description.default_prompt_text
    found = load_golden_texts().up_to(window, lambda text: len(tokenizer.encode([prompt + text])[0]))
    texts: list[Text] = paired(found) if description.task == "classification" else list(found)
    prompted: list[Text] = [prompt + text if isinstance(text, str) else text for text in texts]
    ids = tokenizer.encode_within(prompted, window)
    if prompt and not description.pools_prompts:
        left_out = prompt_tokens(tokenizer, SpecialTokens.of(tokenizer), prompt, window)
        _hold_prompt_to_reference(left_out, reference.prompt_tokens(model, prompt))
        ids = [PromptedIds(each, left_out) for each in ids]
    _hold_to_reference(model, prompted, ids)
    vectors = []
    for row, text in enumerate(texts):
        vectors.append(reference.vector(model, text))
        progress.share("reference vectors", row + 1, len(texts))
    progress.say(f"{len(texts)} reference vectors of {min(map(len, ids))} to {max(map(len, ids))} tokens")
    save_references(folder, References(tuple(ids), np.stack(vectors)))
    (folder / GOLDEN_TEXTS).write_text(json.dumps(texts, ensure_ascii=False, indent=1), encoding="utf-8")
    return len(texts)


def _hold_to_reference(model: reference.Model, texts: list[Text], ids: list[list[int]]) -> None:
    for text, ours in zip(texts, ids, strict=True):
        if ours != reference.token_ids(model, text) or not _same_types(ours, reference.type_ids(model, text)):
            raise unsupported_model(
                f"the tokenizer cannot be served exactly: {str(text)[:40]!r} has other token ids in "
                "sentence-transformers. Please report the model."
            )


def _hold_prompt_to_reference(ours: int, theirs: int) -> None:
    if ours != theirs:
        raise unsupported_model(
            f"the model's pooling leaves {theirs} tokens of its default prompt out, and {ours} were expected. Set "
            "embedding.prompts to {} to serve it without prompts, and please report the model."
        )


def _same_types(ours: list[int], theirs: list[int] | None) -> bool:
    types = ours.type_ids if isinstance(ours, TypedIds) else [0] * len(ours)
    return theirs is None or theirs == types
