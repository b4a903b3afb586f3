"""The whole module chain as one portable graph: token ids and attention mask in, the text's vector out.

torch.export traces every module of the folder in order, so that pooling and normalisation are the model's own.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder
from sentence_transformers import SentenceTransformer

from embedplane_server.errors import PermanentError, PermanentReason, unsupported_model

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "sentence_embedding"


class WholeChain(torch.nn.Module):
    """All modules of a model, in order, behind two tensors."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(list(model))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return one vector a row."""
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        for part in self.parts:
            features = part(features)
        return features[OUTPUT]


def trace(model: SentenceTransformer) -> torch.export.ExportedProgram:
    """Trace the chain for any number of texts of any length."""
    auto = torch.export.Dim.AUTO
    ids = torch.randint(1, 100, (2, 16))
    shapes = ({0: auto, 1: auto}, {0: auto, 1: auto})
    try:
        with torch.no_grad():
            arguments = (ids, torch.ones_like(ids))
            return torch.export.export(WholeChain(model).eval(), arguments, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # torch.export raises errors of many unrelated kinds
        raise unsupported_model(f"torch.export cannot trace the model: {_cause(error)}") from error


def write_openvino(program: torch.export.ExportedProgram, path: Path) -> None:
    """Write an OpenVINO IR with fp32 weights.

    The frontend is called as `openvino.convert_model` calls it, without the telemetry that comes with that function.
    """
    try:
        with _without_warnings():
            # The decoder has to outlive the conversion: the frontend holds no reference to it.
            decoder = TorchFXPythonDecoder.from_exported_program(program)
            frontend = FrontEndManager().load_by_framework("pytorch")
            graph = openvino.Model(frontend.convert(frontend.load(decoder)))
    except Exception as error:  # the frontend raises errors of many unrelated kinds
        raise unsupported_model(f"OpenVINO cannot convert the model: {_cause(error)}") from error
    for tensor, name in zip(graph.inputs, INPUTS, strict=True):
        tensor.get_tensor().set_names({name})
    graph.outputs[0].get_tensor().set_names({OUTPUT})
    openvino.save_model(graph, str(path), compress_to_fp16=False)


def write_onnx(program: torch.export.ExportedProgram, path: Path) -> None:
    """Write an ONNX graph with fp32 weights beside it."""
    try:
        exported = torch.onnx.export(
            program, dynamo=True, input_names=list(INPUTS), output_names=[OUTPUT], verbose=False
        )
        cast("torch.onnx.ONNXProgram", exported).save(str(path), external_data=True)
    except ImportError as error:
        raise PermanentError(
            PermanentReason.BACKEND_UNAVAILABLE, f"ONNX cannot be written: {error}. Use the exporter image."
        ) from error
    except Exception as error:  # the exporter raises errors of many unrelated kinds
        raise unsupported_model(f"torch.onnx cannot export the model: {_cause(error)}") from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep the decoder from telling, with tracebacks, which operations it did not find in a table."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
