"""The whole module chain as one portable graph: token ids and attention mask in, the text's vector out.

torch.export traces every module of the folder in order, so that pooling and normalisation are the model's own. Logits
come out of a model that classifies, and the types of the tokens go in too where it looks at them. A second output has
the vectors of single tokens: an engine compiles the output that it needs, so that the other costs nothing.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

from embedplane_server.engines.tensors import POOLING_MASK, TOKEN_VECTORS, TYPE_IDS
from embedplane_server.errors import PermanentError, PermanentReason, unsupported_model

INPUTS = ("input_ids", "attention_mask")


@dataclass(frozen=True, slots=True)
class Signature:
    """The names of a graph's tensors, in order: those that go in, and those that come out."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


EMBEDDING = Signature(INPUTS, ("sentence_embedding",))
EMBEDDING_WITH_TOKENS = Signature(INPUTS, ("sentence_embedding", TOKEN_VECTORS))
PROMPTED_EMBEDDING = Signature((*INPUTS, POOLING_MASK), EMBEDDING.outputs)
PROMPTED_EMBEDDING_WITH_TOKENS = Signature((*INPUTS, POOLING_MASK), EMBEDDING_WITH_TOKENS.outputs)
CLASSIFICATION = Signature(INPUTS, ("scores",))
TYPED_CLASSIFICATION = Signature((*INPUTS, TYPE_IDS), ("scores",))


class WholeChain(torch.nn.Module):
    """All modules of a model, in order, behind its tensors."""

    def __init__(self, modules: Iterable[torch.nn.Module], signature: Signature) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(modules)
        self.signature = signature

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return one vector a row, and whatever else comes out."""
        features: dict[str, torch.Tensor] = dict(zip(self.signature.inputs, inputs, strict=True))
        pooled = features.pop(POOLING_MASK, None)
        for row, part in enumerate(self.parts):
            features = part(features)
            if row == 0 and pooled is not None:
                # The Transformer sees the prompt; what comes after it does not.
                features["attention_mask"] = pooled
        return tuple(features[name] for name in self.signature.outputs)


def trace(modules: Iterable[torch.nn.Module], signature: Signature) -> torch.export.ExportedProgram:
    """Trace the chain for any number of texts of any length."""
    ids = torch.randint(1, 100, (2, 16))
    ones = torch.ones_like(ids)
    examples = {"input_ids": ids, "attention_mask": ones, TYPE_IDS: torch.zeros_like(ids), POOLING_MASK: ones.clone()}
    return traced(WholeChain(modules, signature), tuple(examples[name] for name in signature.inputs))


def traced(chain: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> torch.export.ExportedProgram:
    """Trace a chain that takes `*inputs`, all of them rectangles of any size."""
    auto = torch.export.Dim.AUTO
    shapes = (tuple({0: auto, 1: auto} for _ in arguments),)
    try:
        with torch.no_grad():
            return torch.export.export(chain.eval(), arguments, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # torch.export raises errors of many unrelated kinds
        raise unsupported_model(f"torch.export cannot trace the model: {_cause(error)}") from error


def write_openvino(program: torch.export.ExportedProgram, signature: Signature, path: Path) -> None:
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
    for tensor, name in zip(graph.inputs, signature.inputs, strict=True):
        tensor.get_tensor().set_names({name})
    for tensor, name in zip(graph.outputs, signature.outputs, strict=True):
        tensor.get_tensor().set_names({name})
    openvino.save_model(graph, str(path), compress_to_fp16=False)


def write_onnx(program: torch.export.ExportedProgram, signature: Signature, path: Path) -> None:
    """Write an ONNX graph with fp32 weights beside it."""
    try:
        exported = torch.onnx.export(
            program,
            dynamo=True,
            input_names=list(signature.inputs),
            output_names=list(signature.outputs),
            verbose=False,
        )
        cast("torch.onnx.ONNXProgram", exported).save(str(path), external_data=True)
    except ImportError as error:
        raise PermanentError(
            PermanentReason.BACKEND_UNAVAILABLE, f"ONNX cannot be written: {error}. Use the exporter image."
        ) from error
    except Exception as error:  # the exporter raises errors of many unrelated kinds
        raise unsupported_model(f"torch.onnx cannot export the model: {_cause(_innermost(error))}") from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep the decoder from telling, with tracebacks, which operations it did not find in a table."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _innermost(error: BaseException) -> BaseException:
    """Return where it began: what torch.onnx raises around that is advice to its own developers, in colours."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _cause(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
