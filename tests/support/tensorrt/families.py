"""Small models of every family that the TensorRT path serves: random weights, MiniLM's tokenizer, our own ONNX export.

Weights are drawn wide, so that vectors of different texts differ and a wrong graph shows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.reference import minilm_folder

WIDTH, WINDOW = 64, 160

_SHAPE: Mapping[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 192,
    "vocab_size": 30522,
    "pad_token_id": 0,
}
_GROUPED: Mapping[str, Any] = {"num_key_value_heads": 2, "head_dim": 16}


@dataclass(frozen=True)
class Family:
    """An architecture of transformers, and how its models pool."""

    model_type: str
    pooling: str = "mean"
    config: Mapping[str, Any] | None = None
    labels: int = 0
    """Of a cross-encoder."""


FAMILIES = {
    "bert": Family("bert"),
    "roberta": Family("roberta"),
    "xlm-roberta": Family("xlm-roberta", "cls"),
    "distilbert": Family("distilbert"),
    "mpnet": Family("mpnet"),
    "modernbert": Family("modernbert", config={"local_attention": 16, "global_attn_every_n_layers": 2}),
    "nomic": Family("nomic_bert"),
    "gte": Family("gte", "cls"),
    "qwen3": Family("qwen3", "lasttoken", _GROUPED),
    "embedding-gemma": Family(
        "gemma3_text",
        config={**_GROUPED, "use_bidirectional_attention": True, "sliding_window": 16, "query_pre_attn_scalar": 16},
    ),
    "cross-encoder": Family("bert", labels=1),
}


def save(name: str, folder: Path) -> Path:
    """Write a model of a family as sentence-transformers does."""
    import torch  # noqa: PLC0415 -- torch takes seconds to import
    from transformers import AutoConfig, AutoTokenizer  # noqa: PLC0415

    family = FAMILIES[name]
    torch.manual_seed(20)
    config = AutoConfig.for_model(family.model_type, **{**_SHAPE, **(family.config or {})})
    config.initializer_range = 0.15
    tokenizer = AutoTokenizer.from_pretrained(str(minilm_folder()))
    plain = folder.with_name(f"{folder.name}-transformer") if not family.labels else folder
    tokenizer.model_max_length = WINDOW
    tokenizer.save_pretrained(plain)
    (_save_cross_encoder if family.labels else _save_embedder)(family, config, plain, folder)
    return folder


def _save_cross_encoder(family: Family, config: Any, plain: Path, folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification  # noqa: PLC0415

    config.num_labels = family.labels
    AutoModelForSequenceClassification.from_config(config).save_pretrained(plain)


def _save_embedder(family: Family, config: Any, plain: Path, folder: Path) -> None:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from sentence_transformers.base.modules import Transformer  # noqa: PLC0415
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling  # noqa: PLC0415
    from transformers import AutoModel  # noqa: PLC0415

    AutoModel.from_config(config).save_pretrained(plain)
    modules = [Transformer(str(plain), max_seq_length=WINDOW), Pooling(WIDTH, pooling_mode=family.pooling), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder), create_model_card=False)


@dataclass(frozen=True)
class Exported:
    """The graph of a model, and the model itself as the export step loaded it."""

    graph: Path
    model: Any
    inputs: tuple[str, ...]


def export(folder: Path, target: Path) -> Exported:
    """Write the ONNX graph of a model's folder as the export step does."""
    from embedplane_server.export import graph, reference  # noqa: PLC0415 -- torch
    from embedplane_server.model import describe  # noqa: PLC0415
    from embedplane_server.settings import Overrides  # noqa: PLC0415

    model = reference.load_reference(folder, describe(folder, Overrides()))
    signature = reference.signature_of(model, "onnx")
    target.mkdir(parents=True, exist_ok=True)
    graph.write_onnx(graph.trace(model, signature), signature, target / "model.onnx")
    return Exported(target / "model.onnx", model, signature.inputs)


Make = Callable[[str], Exported]
