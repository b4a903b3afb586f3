"""What comes after the encoder, read from a model's folder for engines that compute it themselves."""

from pathlib import Path

from embedplane_server.engines.tail import Dense, Tail
from embedplane_server.model import ModelDescription
from embedplane_server.model.chain import Module, read_chain
from embedplane_server.model.tensorrt_llm import activation_of

_WEIGHTS = "model.safetensors"


def read_tail(folder: Path, description: ModelDescription) -> Tail:
    """Return the modules after the encoder; pooling and normalisation are the description's, so overrides count."""
    dense = tuple(_dense(folder, module) for module in read_chain(folder).modules if module.kind == "Dense")
    assert description.pooling is not None
    return Tail(tuple(description.pooling.split("+")), dense, description.normalized)


def _dense(folder: Path, module: Module) -> Dense:
    from safetensors.numpy import load_file  # noqa: PLC0415 -- in images that build for TensorRT-LLM only

    weights = load_file(folder / module.path / _WEIGHTS)
    return Dense(
        weight=weights["linear.weight"].astype("float32"),
        bias=weights["linear.bias"].astype("float32") if "linear.bias" in weights else None,
        is_tanh=activation_of(module) == "Tanh",
        has_residual=bool(module.config.get("use_residual")),
        projection=weights["residual.weight"].astype("float32") if "residual.weight" in weights else None,
    )
