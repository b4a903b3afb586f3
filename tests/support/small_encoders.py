"""Small random encoders of the shape that TensorRT-LLM knows: feed-forward four times as wide as the hidden states."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.reference import minilm_folder

if TYPE_CHECKING:
    from torch import nn

WIDTH = 32
WINDOW = 64
# Weights as wide as these make position and neighbourhood count.
_SHAPE = {
    "hidden_size": WIDTH,
    "intermediate_size": 4 * WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.2,
    "vocab_size": 30522,
}
_KINDS = {
    "bert": {"max_position_embeddings": WINDOW},
    "roberta": {"max_position_embeddings": WINDOW + 2, "pad_token_id": 1, "type_vocab_size": 1},
    "xlm-roberta": {"max_position_embeddings": WINDOW + 2, "pad_token_id": 1, "type_vocab_size": 1},
}


def save_encoder(folder: Path, kind: str, pooling: str | Sequence[str], after: Sequence["nn.Module"] = ()) -> Path:
    """Save a model that pools, runs what comes after, and normalises; the tokenizer is MiniLM's."""
    import torch  # noqa: PLC0415 -- takes seconds to import
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 -- as above
    from sentence_transformers.base.modules import Normalize, Transformer  # noqa: PLC0415 -- as above
    from sentence_transformers.sentence_transformer.modules import Pooling  # noqa: PLC0415 -- as above
    from transformers import AutoConfig, AutoModel, AutoTokenizer  # noqa: PLC0415 -- as above

    torch.manual_seed(5)
    plain, whole = folder / "transformer", folder / "model"
    AutoModel.from_config(AutoConfig.for_model(kind, **_SHAPE, **_KINDS[kind])).save_pretrained(plain)
    AutoTokenizer.from_pretrained(str(minilm_folder())).save_pretrained(plain)
    modules = [Transformer(str(plain), max_seq_length=WINDOW), Pooling(WIDTH, pooling), *after, Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(whole), create_model_card=False)
    return whole
