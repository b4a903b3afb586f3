"""A model's folder becomes a checkpoint of TensorRT-LLM: loaded on the CPU, from safetensors, without code of its own.

Runs in the GPU image with its transformers (4.57.3); needs no sentence-transformers.
"""

import importlib
from pathlib import Path

import torch
from transformers import AutoModel, PreTrainedModel

from embedplane_server.errors import unsupported_model


def write_checkpoint(model: Path, checkpoint: Path, dtype: str) -> int:
    """Convert the encoder of a model's folder and return its padding id; `dtype` is float16 or float32."""
    encoder = load_encoder_on_cpu(model)
    models = importlib.import_module("tensorrt_llm.models")
    # Given a model instead of a folder, it neither downloads, nor runs remote code, nor takes memory of the GPU.
    kind = models.BertModel if encoder.config.model_type == "bert" else models.RobertaModel
    kind.from_hugging_face(encoder, dtype=dtype).save_checkpoint(str(checkpoint), save_config=True)
    return int(encoder.config.pad_token_id or 0)


def load_encoder_on_cpu(model: Path) -> PreTrainedModel:
    """Return the encoder in float32."""
    try:
        encoder: PreTrainedModel = AutoModel.from_pretrained(
            str(model), dtype=torch.float32, use_safetensors=True, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise unsupported_model(f"transformers cannot load the model: {error}") from error
    # TensorRT-LLM reads the first of them, and older files name none.
    encoder.config.architectures = encoder.config.architectures or [type(encoder).__name__]
    return encoder  # as loaded: it is evaluated, not trained
