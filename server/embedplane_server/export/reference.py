"""sentence-transformers itself: the model as overridden, in fp32, its tokenizer and its vectors or logits.

What it says is the truth that engines are held to. Needs torch; the graph is made in `graph.py`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers.utils import logging as transformers_logging

from embedplane_server.engines.tensors import TYPE_IDS
from embedplane_server.errors import unsupported_model
from embedplane_server.export.graph import (
    CLASSIFICATION,
    EMBEDDING,
    EMBEDDING_WITH_TOKENS,
    PROMPTED_EMBEDDING,
    PROMPTED_EMBEDDING_WITH_TOKENS,
    TYPED_CLASSIFICATION,
    Signature,
)
from embedplane_server.export.loadable import loadable
from embedplane_server.model import ModelDescription
from embedplane_server.settings import ExportFormat
from embedplane_server.tokenization import Text

Model = SentenceTransformer | CrossEncoder

_CANNOT_LOAD = (
    ValueError,
    KeyError,
    OSError,
    RuntimeError,
    ImportError,
    AttributeError,
    TypeError,
    SafetensorError,  # a file that was cut short, for example
)


def load_reference(folder: Path, description: ModelDescription) -> Model:
    """Load a model's folder in fp32 and make it what its description says."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    model: Model = (
        _load(CrossEncoder, folder) if description.task == "classification" else _embedding_model(folder, description)
    )
    model.max_seq_length = description.max_sequence_length
    return model.eval()


def _embedding_model(folder: Path, description: ModelDescription) -> SentenceTransformer:
    assert description.pooling is not None
    with loadable(folder, description.pooling) as place:
        files = _load(SentenceTransformer, place)
    modules = [module for module in files if not isinstance(module, Normalize)]
    for module in modules:
        if isinstance(module, Pooling):
            modes = tuple(description.pooling.split("+"))
            module.pooling_mode = modes[0] if len(modes) == 1 else modes
    modules += [Normalize()] if description.normalized else []
    return SentenceTransformer(
        modules=modules,
        device="cpu",
        prompts=dict(description.prompts),
        default_prompt_name=description.default_prompt,
        local_files_only=True,
    )


def signature_of(model: Model, format: ExportFormat) -> Signature:  # noqa: A002 -- the word of docs/contract.md
    """Return what the model's graph takes and gives; vectors of single tokens are for CPUs only so far."""
    if isinstance(model, SentenceTransformer):
        if leaves_prompts_out(model):
            return PROMPTED_EMBEDDING_WITH_TOKENS if format == "openvino" else PROMPTED_EMBEDDING
        return EMBEDDING_WITH_TOKENS if format == "openvino" else EMBEDDING
    return TYPED_CLASSIFICATION if type_ids(model, ("a", "b")) is not None else CLASSIFICATION


def leaves_prompts_out(model: SentenceTransformer) -> bool:
    """Tell whether the model has prompts that its pooling leaves out."""
    return any(model.prompts.values()) and any(isinstance(each, Pooling) and not each.include_prompt for each in model)


def prompt_tokens(model: Model, prompt: str) -> int:
    """Return how many tokens of a prompt sentence-transformers leaves out of pooling where a model wants that."""
    return int(model.preprocess(["a"], prompt=prompt)["prompt_length"])


def tokenizer_document(model: Model) -> str:
    """Return the tokenizer as sentence-transformers uses it, as one tokenizer.json."""
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise unsupported_model("the model has no fast tokenizer. Save it as one and add its tokenizer.json.")
    return str(backend.to_str())


def token_ids(model: Model, text: Text) -> list[int]:
    """Return the ids that sentence-transformers computes a text's vector from."""
    return [int(token) for token in model.preprocess([text])["input_ids"][0].tolist()]


def type_ids(model: Model, text: Text) -> list[int] | None:
    """Return the types of these tokens, or None where the model does not look at types."""
    types = model.preprocess([text]).get(TYPE_IDS)
    return None if types is None else [int(each) for each in types[0].tolist()]


def vectors(model: Model, texts: Sequence[Text], prompt: str | None = None) -> NDArray[np.float32]:
    """Return sentence-transformers' own vectors of texts of as many tokens each, so that no padding touches them.

    They are those behind a prompt, without one those behind the model's default prompt. Of a model that classifies: the
    logits, to which `CrossEncoder.predict` applies an activation.
    """
    with torch.inference_mode():
        if isinstance(model, SentenceTransformer):
            found = model.encode(list(texts), prompt=prompt, batch_size=len(texts), show_progress_bar=False)
            return np.asarray(found, dtype=np.float32)
        return np.asarray(model(model.preprocess(list(texts)))["scores"], dtype=np.float32)


Kind = TypeVar("Kind", SentenceTransformer, CrossEncoder)


def _load(kind: type[Kind], folder: Path) -> Kind:
    precise = {"dtype": torch.float32, "use_safetensors": True}
    try:
        try:
            return _open(kind, folder, {**precise, "attn_implementation": "sdpa"})
        except ValueError as error:
            # Architectures without a fused attention say so by this error.
            if "sdpa" not in str(error) and "scaled_dot_product" not in str(error):
                raise
            return _open(kind, folder, precise)
    except _CANNOT_LOAD as error:
        cause = str(error).strip().split("\n", 1)[0]
        raise unsupported_model(f"sentence-transformers cannot load the model: {cause}") from error


def _open(kind: type[Kind], folder: Path, model_kwargs: dict[str, object]) -> Kind:
    return kind(  # type: ignore[no-any-return]  # the decorators of sentence-transformers hide the type
        str(folder), device="cpu", local_files_only=True, trust_remote_code=False, model_kwargs=model_kwargs
    )
