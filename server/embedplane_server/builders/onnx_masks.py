"""Attention without the guard that torch writes around a softmax, so that TensorRT recognises it and fuses it.

A row of scores that is masked by -infinity to the last one has a softmax of NaN, which torch.export's graph replaces by
0 afterwards; with that step in between, TensorRT fails to build 16-bit attention. With a finite mask no NaN comes up: a
row like that gets some finite vector. Only padding has such rows, and nothing looks at the vectors of padding.
"""

from typing import Any

import numpy as np

MASKED = np.float32(-1e30)
"""Beside it every score vanishes, in 32 bits, and no sum with one is infinite."""


def soften_masks(graph: Any) -> None:  # noqa: ANN401 -- onnx is imported by need
    """Make infinite masks of an `onnx.GraphProto` finite, and drop the guards that this makes needless."""
    _make_finite(graph)
    made_by = {name: node for node in graph.node for name in node.output}
    replaced = {}
    for node in graph.node:
        if node.op_type != "Where" or (guard := made_by.get(node.input[0])) is None or guard.op_type != "IsNaN":
            continue
        guarded = guard.input[0]
        if node.input[2] == guarded and made_by[guarded].op_type == "Softmax":
            replaced[node.output[0]] = guarded
    kept = [node for node in graph.node if node.output[0] not in replaced]
    for node in kept:
        node.input[:] = [replaced.get(name, name) for name in node.input]
    used = {name for node in kept for name in node.input}
    kept = [node for node in kept if node.op_type != "IsNaN" or node.output[0] in used]
    del graph.node[:]
    graph.node.extend(kept)


def _make_finite(graph: Any) -> None:  # noqa: ANN401
    from onnx import TensorProto, numpy_helper  # noqa: PLC0415 -- of the GPU and exporter images only

    constants = [each.t for node in graph.node if node.op_type == "Constant" for each in node.attribute]
    for tensor in (*graph.initializer, *constants):
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if np.isneginf(values).any():
            finite = np.where(np.isneginf(values), MASKED, values).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(finite, tensor.name))
