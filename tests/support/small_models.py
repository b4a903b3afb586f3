"""Real sentence-transformers models, small and with random weights: a chain of modules over a BERT of two layers.

Weights are drawn wide, so that texts, poolings and prompts lie far apart: what is confused shows.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tests.support.reference import minilm_folder

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import nn

WIDTH = 32
WINDOW = 48

TEXTS = (
    "a",
    "the quick brown fox jumps over the lazy dog",
    "Vectors of two models cannot be compared.",
    "naïve 日本語 \U0001f600",
    "word " * (WINDOW - 2),
    "one two three, four five six; seven eight nine: ten eleven twelve. " * 6,
)
"""From one token to more than the window has."""


def transformer(folder: Path, *, model_type: str = "bert") -> "nn.Module":
    """Return a Transformer module of the smallest kind, with the tokenizer of MiniLM."""
    import torch  # noqa: PLC0415 -- torch takes seconds to import
    from sentence_transformers.base.modules import Transformer  # noqa: PLC0415
    from transformers import AutoConfig, AutoModel, AutoTokenizer  # noqa: PLC0415

    torch.manual_seed(20)
    config = AutoConfig.for_model(
        model_type,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        vocab_size=30522,
        initializer_range=0.3,
    )
    plain = folder.with_name(f"{folder.name}-transformer")
    AutoModel.from_config(config).save_pretrained(plain)
    AutoTokenizer.from_pretrained(str(minilm_folder())).save_pretrained(plain)
    return Transformer(str(plain), max_seq_length=WINDOW)


def save_model(
    folder: Path,
    after: Callable[[], Sequence["nn.Module"]],
    prompts: Mapping[str, str] | None = None,
    default_prompt: str | None = None,
    **options: Any,
) -> Path:
    """Save a model of a Transformer and the modules that follow it."""
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    model = SentenceTransformer(
        modules=[transformer(folder), *after()],
        device="cpu",
        prompts=dict(prompts or {}),
        default_prompt_name=default_prompt,
        **options,
    )
    model.save(str(folder), create_model_card=False)
    return folder


def reference_vectors(folder: Path, texts: Sequence[str], **options: Any) -> NDArray[np.float32]:
    """Return sentence-transformers' own vectors, each text alone."""
    return np.asarray(_loaded(folder).encode(list(texts), batch_size=1, **options), dtype=np.float32)


def _loaded(folder: Path) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)
