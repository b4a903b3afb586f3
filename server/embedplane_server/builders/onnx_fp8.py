"""Products with weights in fp8 (e4m3), by explicit QuantizeLinear and DequantizeLinear around what goes into them.

Comes after `onnx_precision.lower`: of what is in float16 there only products of token vectors with weights change. A
scale is one number a tensor and stands in the graph, which is all that TensorRT has for compute capability 8.9: scales
for each channel need a Hopper. Weights are their own measure; activations are measured over golden texts.

Products of attention stay in float16: in fp8 they cost vectors a little more, and Ada has kernels for them only within
bounds of length and head size.

Written here rather than by nvidia-modelopt[onnx]: that quantises to int8 with ONNX Runtime, rewrites the result to fp8
and puts the rest into 16 bits by rules of its own, instead of those that `lower` is tested for; and it needs
onnxruntime-gpu, cupy, polygraphy and a pinned onnx in an image whose libraries are TensorRT-LLM's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from embedplane_server.builders.onnx_precision import PRODUCTS, save
from embedplane_server.builders.onnx_ranges import largest_magnitudes
from embedplane_server.errors import unsupported_model

_LARGEST_FP8 = 448.0
_ROOM = 2.0
"""Other texts have larger activations than the golden ones. A floating-point format loses nothing by that: its steps
shrink with the value, down to a 28,000th of the largest."""
_LEAST_SCALE = float(np.finfo(np.float16).smallest_normal)
_OPSET = 19
"""The first with fp8 in QuantizeLinear and DequantizeLinear; of what the exporter writes it changes no meaning."""
_ZERO = "fp8_zero"


def quantize(graph: Path, texts: Sequence[Sequence[int]]) -> None:
    """Rewrite the file of a graph in float16; texts are token ids."""
    import onnx  # noqa: PLC0415 -- of the GPU and exporter images only

    model = onnx.load(str(graph))
    weights = {each.name: each for each in model.graph.initializer if _is_weight(each)}
    products = [node for node in model.graph.node if node.op_type in PRODUCTS and node.input[1] in weights]
    if not products:
        raise unsupported_model("no product with weights of the model can be put into fp8. Write float16 or auto.")
    measured = largest_magnitudes(graph, list(dict.fromkeys(node.input[0] for node in products)), texts)
    scales = {name: largest * _ROOM / _LARGEST_FP8 for name, largest in measured.items()}
    scales |= {node.input[1]: _largest(weights[node.input[1]]) / _LARGEST_FP8 for node in products}
    _Quantizing(model.graph, scales).run({node.output[0] for node in products})
    for opset in model.opset_import:
        if not opset.domain:
            opset.version = max(opset.version, _OPSET)
    save(model, graph)


def _is_weight(tensor: Any) -> bool:  # noqa: ANN401 -- onnx is imported by need
    from onnx import TensorProto  # noqa: PLC0415

    return len(tensor.dims) == 2 and tensor.data_type == TensorProto.FLOAT16


def _largest(tensor: Any) -> float:  # noqa: ANN401
    from onnx import numpy_helper  # noqa: PLC0415

    return float(np.abs(numpy_helper.to_array(tensor)).max())


@dataclass
class _Quantizing:
    """One pass over a graph's nodes, which stand in the order in which they run."""

    graph: Any
    scales: Mapping[str, float]
    """Of the values that go into products."""
    rounded: dict[str, str] = field(default_factory=dict)
    """Names of values behind fp8, by those before it: what three projections share is rounded once."""
    nodes: list[Any] = field(default_factory=list)

    def run(self, products: set[str]) -> None:
        """Round what goes into the products, which are named by their outputs."""
        from onnx import TensorProto  # noqa: PLC0415

        self.graph.initializer.append(TensorProto(name=_ZERO, data_type=TensorProto.FLOAT8E4M3FN, raw_data=b"\0"))
        for node in self.graph.node:
            if node.output[0] in products:
                node.input[0], node.input[1] = self._through_fp8(node.input[0]), self._through_fp8(node.input[1])
            self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)

    def _through_fp8(self, name: str) -> str:
        from onnx import helper, numpy_helper  # noqa: PLC0415

        if name not in self.rounded:
            scale, narrow, rounded = (f"{name}_fp8_scale", f"{name}_fp8", f"{name}_from_fp8")
            value = np.float16(max(self.scales[name], _LEAST_SCALE))
            self.graph.initializer.append(numpy_helper.from_array(np.asarray(value), scale))
            self.nodes += [
                helper.make_node("QuantizeLinear", [name, scale, _ZERO], [narrow], name=f"quantize_{name}"),
                helper.make_node("DequantizeLinear", [narrow, scale, _ZERO], [rounded], name=f"dequantize_{name}"),
            ]
            self.rounded[name] = rounded
        return self.rounded[name]
