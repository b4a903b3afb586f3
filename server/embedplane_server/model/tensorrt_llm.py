"""Whether TensorRT-LLM 1.2.1 computes exactly what a model says, by its files alone. Pure.

Its encoder is BERT's with one fixed shape: whatever it does not look at in config.json would come out wrong without an
error. So only what is known to be the same is allowed, and everything else goes to plain TensorRT.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedplane_server.model.chain import Chain, Module

MODEL_TYPES = ("bert", "roberta", "xlm-roberta")
ACTIVATIONS = ("Identity", "Tanh")
"""Those of dense layers behind the pooling that `engines/tail.py` computes."""
_GELU = "gelu"
# What transformers assumes where config.json says nothing, for all three model types.
_HIDDEN, _INTERMEDIATE = 768, 3072
_FEED_FORWARD = 4
"""TensorRT-LLM does not read intermediate_size: it takes so many times the hidden size."""


@dataclass(frozen=True, slots=True)
class Exactness:
    """Whether TensorRT-LLM is exact for a model, and why, in words that stand behind a colon."""

    is_exact: bool
    reason: str


def exactness(chain: Chain) -> Exactness:
    """Return whether TensorRT-LLM gives this chain's vectors."""
    differences = [*_differences(chain.transformer.config), *_differences_after(chain)]
    if differences:
        return Exactness(is_exact=False, reason="; ".join(differences))
    kind = chain.transformer.config["model_type"]
    return Exactness(is_exact=True, reason=f"{kind}, absolute positions, feed-forward 4 x hidden size, gelu")


def _differences(config: Mapping[str, Any]) -> list[str]:
    kind = str(config.get("model_type"))
    if kind not in MODEL_TYPES:
        return [f"model_type {kind[:40]} is none of {', '.join(MODEL_TYPES)}"]
    found = []
    if (positions := config.get("position_embedding_type", "absolute")) != "absolute":
        found.append(f"position_embedding_type is {str(positions)[:40]}, not absolute")
    hidden, inner = config.get("hidden_size", _HIDDEN), config.get("intermediate_size", _INTERMEDIATE)
    if inner != _FEED_FORWARD * hidden:
        found.append(f"intermediate_size {inner} is not {_FEED_FORWARD} x hidden_size {hidden}")
    if (activation := config.get("hidden_act", _GELU)) != _GELU:
        found.append(f"hidden_act is {str(activation)[:40]}, not {_GELU}")
    if config.get("is_decoder") or config.get("add_cross_attention"):
        found.append("it is configured as a decoder")
    return found


def _differences_after(chain: Chain) -> list[str]:
    """What comes after the encoder is this project's own: pooling, dense layers and normalisation."""
    if chain.task == "classification":
        return ["the model classifies"]
    found = []
    for module in chain.modules[1:]:
        if module.kind == "LayerNorm":
            found.append("a LayerNorm comes after the pooling")
        elif module.kind == "Dense" and (name := activation_of(module)) not in ACTIVATIONS:
            found.append(f"a dense layer's activation is {name[:40]}, none of {', '.join(ACTIVATIONS)}")
    return found


def activation_of(dense: Module) -> str:
    """Return the name of a dense layer's activation; sentence-transformers assumes a tanh."""
    return str(dense.config.get("activation_function") or "Tanh").rpartition(".")[2]
