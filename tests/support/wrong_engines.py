"""A small real model, and ways of making its graph wrong: each changes the model after its references were made.

Weights are drawn wide, so that the parts of the model matter as they do in one that was trained.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.reference import minilm_folder

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

PROMPTS = {"query": "Represent this sentence for searching relevant passages: ", "document": "passage: "}
LAYERS = 4
HUGE = 3e4
"""A feed-forward layer's inner values, of about this size, are more than half precision can hold."""

Spoil = Callable[["SentenceTransformer"], None]


def save_small_model(folder: Path, *, is_normalized: bool = True, default_prompt: str | None = None) -> Path:
    """Write a BERT of four layers with mean pooling and MiniLM's tokenizer."""
    import torch  # noqa: PLC0415 -- torch takes seconds to import
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from sentence_transformers.base.modules import Normalize, Transformer  # noqa: PLC0415
    from sentence_transformers.sentence_transformer.modules import Pooling  # noqa: PLC0415
    from transformers import AutoTokenizer, BertConfig, BertModel  # noqa: PLC0415

    torch.manual_seed(5)
    shape: dict[str, Any] = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128}
    config = BertConfig(
        **shape, num_hidden_layers=LAYERS, vocab_size=30522, max_position_embeddings=600, initializer_range=0.2
    )
    plain = folder.with_name(f"{folder.name}-transformer")
    BertModel(config).save_pretrained(plain)
    AutoTokenizer.from_pretrained(str(minilm_folder())).save_pretrained(plain)
    modules = [Transformer(str(plain), max_seq_length=512), Pooling(64, "mean")]
    modules += [Normalize()] if is_normalized else []
    model = SentenceTransformer(modules=modules, device="cpu", prompts=PROMPTS, default_prompt_name=default_prompt)
    model.save(str(folder), create_model_card=False)
    return folder


def bert(model: "SentenceTransformer") -> Any:
    """Return the transformers model inside."""
    return model[0].auto_model


def pool_otherwise(model: "SentenceTransformer") -> None:
    model[1].pooling_mode = "cls"


def leave_out_normalisation(model: "SentenceTransformer") -> None:
    del model._modules[str(len(model) - 1)]


def swap_two_layers(model: "SentenceTransformer") -> None:
    layers = bert(model).encoder.layer
    layers[1], layers[2] = layers[2], layers[1]


def swap_one_matrix(model: "SentenceTransformer") -> None:
    """Give one layer's attention the queries of another's."""
    layers = bert(model).encoder.layer
    layers[1].attention.self.query = layers[2].attention.self.query


def draw_weights_anew(model: "SentenceTransformer") -> None:
    import torch  # noqa: PLC0415

    torch.manual_seed(6)
    with torch.no_grad():
        for parameter in bert(model).parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)


def shift_positions(model: "SentenceTransformer") -> None:
    """Number positions from 1, as RoBERTa's are numbered from 2."""
    import torch  # noqa: PLC0415

    weight = bert(model).embeddings.position_embeddings.weight
    with torch.no_grad():
        weight.copy_(torch.roll(weight, -1, dims=0))


def overflow_as_half_precision(model: "SentenceTransformer") -> None:
    """Let what comes out of the first half of each feed-forward layer overflow as it does in float16.

    A cast to float16 and back would not do: OpenVINO computes such a graph in float32 on CPUs.
    """
    import torch  # noqa: PLC0415

    class Overflowing(torch.nn.Module):
        def __init__(self, inner: "torch.nn.Module") -> None:
            super().__init__()
            self.inner = inner

        def forward(self, states: "torch.Tensor") -> "torch.Tensor":
            found: torch.Tensor = self.inner(states)
            return torch.where(found.abs() > torch.finfo(torch.float16).max, found * float("inf"), found)

    for layer in bert(model).encoder.layer:
        layer.intermediate = Overflowing(layer.intermediate)


def widen_activations(folder: Path) -> Path:
    """Change a saved model so that its inner values are huge, and its vectors what they were, nearly."""
    import torch  # noqa: PLC0415
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    path = folder / "model.safetensors"
    weights = load_file(path)
    for name in weights:
        if name.endswith(("intermediate.dense.weight", "intermediate.dense.bias")):
            weights[name] = weights[name] * HUGE
        elif ".attention." not in name and name.endswith("output.dense.weight"):
            weights[name] = weights[name] / HUGE
    assert all(torch.isfinite(weight).all() for weight in weights.values())
    save_file(weights, path, metadata={"format": "pt"})
    return folder
