"""How large values of a graph become over texts: what the scales of 8-bit numbers are made of.

OpenVINO runs the graph in float32 on the CPU: every image has it, and nothing here needs the GPU. Texts run alone, so
that what is measured does not depend on who their neighbours are.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino

from embedplane_server.builders.machine import usable_cpus
from embedplane_server.engines.padding import padded, padded_types, pooling_mask
from embedplane_server.engines.tensors import POOLING_MASK, TYPE_IDS

_LONGEST_TEXT = 512
"""In tokens. On a few cores longer ones take minutes, and show nothing that these do not."""
_TEXTS = 64


def largest_magnitudes(graph: Path, names: Sequence[str], texts: Sequence[Sequence[int]]) -> dict[str, float]:
    """Return the largest absolute value of each of the named values of an ONNX graph over some of the texts."""
    measured = _measuring(graph, names)
    core = openvino.Core()
    properties = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": usable_cpus()}
    compiled = core.compile_model(core.read_model(str(measured)), "CPU", properties)
    takes = [tensor.get_any_name() for tensor in compiled.inputs]
    request = compiled.create_infer_request()
    largest = np.zeros(len(names))
    for ids in representative(texts):
        inputs = padded([ids])
        inputs |= {TYPE_IDS: padded_types([ids]), POOLING_MASK: pooling_mask([ids], inputs["attention_mask"])}
        found = request.infer({name: inputs[name] for name in takes})
        largest = np.maximum(largest, [float(found[_largest(name)]) for name in names])
    return dict(zip(names, largest.tolist(), strict=True))


def representative(texts: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """Return up to 64 texts of all lengths, none of them very long unless all are."""
    by_length = sorted(texts, key=len)
    short = [ids for ids in by_length if len(ids) <= _LONGEST_TEXT] or by_length[:1]
    places = np.linspace(0, len(short) - 1, min(_TEXTS, len(short)))
    return [short[int(place)] for place in places]


def _largest(name: str) -> str:
    return f"{name}_largest"


def _measuring(graph: Path, names: Sequence[str]) -> Path:
    """Write, beside the graph and its weights, one whose outputs are the largest magnitudes."""
    import onnx  # noqa: PLC0415 -- of the GPU and exporter images only
    from onnx import TensorProto, helper  # noqa: PLC0415

    model = onnx.load(str(graph), load_external_data=False)
    del model.graph.output[:]
    for name in names:
        wide, positive = f"{name}_wide", f"{name}_positive"
        model.graph.node.extend(
            [
                helper.make_node("Cast", [name], [wide], to=TensorProto.FLOAT),
                helper.make_node("Abs", [wide], [positive]),
                helper.make_node("ReduceMax", [positive], [_largest(name)], keepdims=0),
            ]
        )
        model.graph.output.append(helper.make_tensor_value_info(_largest(name), TensorProto.FLOAT, []))
    measuring = graph.with_name(f"ranges-{graph.name}")
    onnx.save_model(model, str(measuring))
    return measuring
