"""An fp32 ONNX graph becomes one of mixed precision: matrix products in 16 bits, what is delicate stays in 32.

A strongly typed TensorRT network computes in the types that stand in the graph, so here is where `float16` and
`bfloat16` are decided. One fp32 export serves all precisions, and the key of an export knows none. Needs the package
onnx and no torch.

16 bits: products of token vectors with weights and with one another, tables of words, and elementwise steps between
them. 32 bits: normalisations, softmax, masks, rotary angles, residual sums, pooling and all that follows it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from embedplane_server.builders.onnx_masks import soften_masks

Low = Literal["float16", "bfloat16"]
LOW: Mapping[str, Low] = {"float16": "float16", "bfloat16": "bfloat16", "fp8": "float16"}
"""What is lowered to by precision; of fp8 the rest, see `onnx_fp8.py`."""

_FLOAT = 1
_ONNX_TYPES: dict[Low, int] = {"float16": 10, "bfloat16": 16}
"""Numbers of `onnx.TensorProto.DataType`."""

PRODUCTS = {"MatMul", "Gemm"}
_WORD_PATHS = {"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
"""Through these the ids of words are still the ids of words."""
_FOLLOWERS = {
    *("Add", "Div", "Mul", "Neg", "Sub"),
    *("Clip", "Erf", "Gelu", "Relu", "Sigmoid", "Tanh"),
    *("Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose"),
    *("Unsqueeze", "Where"),
}
"""In 16 bits where all that goes in is; beside one 32-bit value they widen."""

_EXTERNAL_BYTES = 1024


def lower(source: Path, target: Path, precision: Low) -> None:
    """Write the graph of a file, whose weights may stand beside it, with its products in 16 bits."""
    import onnx  # noqa: PLC0415 -- of the GPU and exporter images only

    model = onnx.load(str(source))
    soften_masks(model.graph)
    _Lowering(model.graph, precision).run()
    save(model, target)


def save(model: Any, target: Path) -> None:  # noqa: ANN401 -- onnx is imported by need
    """Write a model, with its weights beside it, over what may be there."""
    import onnx  # noqa: PLC0415

    weights = f"{target.name}.data"
    (target.parent / weights).unlink(missing_ok=True)  # onnx appends to a file that is there
    onnx.save_model(model, str(target), save_as_external_data=True, location=weights, size_threshold=_EXTERNAL_BYTES)


@dataclass
class _Lowering:
    """One pass over a graph's nodes, which stand in the order in which they run."""

    graph: Any
    precision: Low
    low: set[str] = field(default_factory=set)
    """Values of 16 bits."""
    words: set[str] = field(default_factory=lambda: {"input_ids"})
    token_vectors: set[str] = field(default_factory=set)
    """Values that depend on vectors from a table: a product of others computes positions or angles."""
    casts: dict[tuple[str, bool], str] = field(default_factory=dict)
    nodes: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        graph = self.graph
        self.initializers = {each.name: each for each in graph.initializer}
        self.types = {each.name: each.data_type for each in graph.initializer}
        self.ranks: dict[str, int] = {}
        for value in (*graph.input, *graph.value_info, *graph.output):
            self.types[value.name] = value.type.tensor_type.elem_type
            if value.type.tensor_type.HasField("shape"):
                self.ranks[value.name] = len(value.type.tensor_type.shape.dim)
        self.constants = {*self.initializers, *_names_of_constants(graph)}

    def run(self) -> None:
        """Rewrite the graph."""
        for node in self.graph.node:
            is_low = self._is_low(node)
            self._note(node, is_low)
            self._cast_inputs(node, is_low)
            self.nodes.append(node)
        for output in self.graph.output:
            self._widen_output(output.name)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        del self.graph.value_info[:]  # they tell the types from before
        used = {name for node in self.graph.node for name in node.input}
        kept = [each for name, each in self.initializers.items() if name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)

    def _is_float(self, name: str) -> bool:
        return self.types.get(name) == _FLOAT

    def _is_low(self, node: Any) -> bool:  # noqa: ANN401 -- onnx is imported by need
        floats = [name for name in node.input if self._is_float(name)]
        variable = [name for name in floats if name not in self.constants]
        if node.op_type in PRODUCTS:
            # After pooling a text is one row: little work, and all of the result depends on it.
            return self.ranks.get(node.output[0], 3) > 2 and any(name in self.token_vectors for name in floats)
        if self._is_table_of_words(node):
            return True
        return node.op_type in _FOLLOWERS and bool(variable) and all(name in self.low for name in variable)

    def _is_table_of_words(self, node: Any) -> bool:  # noqa: ANN401
        return (
            node.op_type == "Gather"
            and node.input[0] in self.initializers
            and self._is_float(node.input[0])
            and node.input[1] in self.words
        )

    def _note(self, node: Any, is_low: bool) -> None:  # noqa: ANN401
        """Remember what the node's outputs are."""
        looks_up = node.op_type == "Gather" and node.input[0] in self.initializers and self._is_float(node.input[0])
        for name in node.output:
            if node.op_type in _WORD_PATHS and node.input[0] in self.words:
                self.words.add(name)
            if not self._is_float(name):
                continue
            if looks_up or any(each in self.token_vectors for each in node.input):
                self.token_vectors.add(name)
            if is_low:
                self.low.add(name)

    def _cast_inputs(self, node: Any, is_low: bool) -> None:  # noqa: ANN401
        for place, name in enumerate(node.input):
            if self._is_float(name) and (name in self.low) != is_low:
                node.input[place] = self._as(name, is_low)

    def _as(self, name: str, is_low: bool) -> str:
        """Return the name of a value in the other precision, which is made where nobody needed it before."""
        if (name, is_low) not in self.casts:
            other = f"{name}_{self.precision if is_low else 'float32'}"
            self.casts[name, is_low] = other
            if is_low and name in self.initializers:
                self.initializers[other] = _converted(self.initializers[name], other, self.precision)
            else:
                self.nodes.append(_cast(name, other, _ONNX_TYPES[self.precision] if is_low else _FLOAT))
        return self.casts[name, is_low]

    def _widen_output(self, name: str) -> None:
        if name not in self.low:
            return
        inner = f"{name}_{self.precision}"
        for node in self.nodes:
            node.output[:] = [inner if each == name else each for each in node.output]
            node.input[:] = [inner if each == name else each for each in node.input]
        self.nodes.append(_cast(inner, name, _FLOAT))


def _names_of_constants(graph: Any) -> Iterator[str]:  # noqa: ANN401
    for node in graph.node:
        if node.op_type == "Constant":
            yield node.output[0]


def _cast(name: str, result: str, kind: int) -> Any:  # noqa: ANN401
    from onnx import helper  # noqa: PLC0415

    return helper.make_node("Cast", [name], [result], name=f"cast_to_{result}", to=kind)


def _converted(tensor: Any, name: str, precision: Low) -> Any:  # noqa: ANN401
    from onnx import TensorProto, numpy_helper  # noqa: PLC0415

    values = numpy_helper.to_array(tensor)
    content = values.astype(np.float16) if precision == "float16" else bfloat16_bits(values)
    return TensorProto(name=name, dims=tensor.dims, data_type=_ONNX_TYPES[precision], raw_data=content.tobytes())


def bfloat16_bits(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return the upper halves of 32-bit numbers, rounded to the nearest and, between two, to the even one."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
