"""Every family of models on its way to TensorRT: our ONNX, run by ONNX Runtime and built by TensorRT-RTX on the CPU.

What is compared is sentence-transformers in fp32; what builds for compute capability 8.9 is the code of a build Job.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxruntime import InferenceSession

from embedplane_server.builders.onnx_precision import bfloat16_bits, lower
from embedplane_server.engines.base import TypedIds, Vectors
from embedplane_server.engines.padding import padded, padded_types
from embedplane_server.engines.tensorrt_shapes import profiles_for
from embedplane_server.engines.tensors import TYPE_IDS
from embedplane_server.errors import PermanentError
from tests.support.reference import cosines
from tests.support.tensorrt.families import FAMILIES, WINDOW, Exported, Make
from tests.support.tensorrt.reading import for_an_l4, running
from tests.support.texts import texts_up_to

pytestmark = pytest.mark.model

DELICATE = {"LayerNormalization", "Pow", "ReduceL2", "ReduceMean", "ReduceSum", "Softmax", "Sqrt"}
TEXTS = texts_up_to(140, 9)


@dataclass(frozen=True)
class Case:
    """A family's exported model, its texts as token ids, and what sentence-transformers makes of them."""

    name: str
    exported: Exported
    token_ids: list[list[int]]
    expected: Vectors
    folder: Path

    @cached_property
    def half(self) -> Path:
        """The graph with its products in float16."""
        lower(self.exported.graph, self.folder / "model.onnx", "float16")
        return self.folder / "model.onnx"

    def compare(self, found: Vectors, floor: float) -> None:
        """Hold vectors by their angle to the reference, scores of a cross-encoder by their distance."""
        if FAMILIES[self.name].labels:
            assert abs(found - self.expected).max() <= (1 - floor) * 10
        else:
            assert cosines(found, self.expected).min() >= floor


@pytest.fixture(scope="module", params=FAMILIES)
def case(request: pytest.FixtureRequest, exported: Make, tmp_path_factory: pytest.TempPathFactory) -> Case:
    from embedplane_server.export import reference  # noqa: PLC0415 -- torch

    made = exported(request.param)
    texts = list(zip(TEXTS, TEXTS[::-1], strict=True)) if FAMILIES[request.param].labels else TEXTS
    ids = []
    for text in texts:
        types = reference.type_ids(made.model, text)
        plain = reference.token_ids(made.model, text)
        ids.append(plain if types is None else TypedIds(plain, types))
    expected = np.concatenate([reference.vectors(made.model, [text]) for text in texts])
    return Case(request.param, made, ids, expected, tmp_path_factory.mktemp(request.param))


def run(session: InferenceSession, inputs: tuple[str, ...], token_ids: list[list[int]]) -> Vectors:
    feed = padded(token_ids)
    if TYPE_IDS in inputs:
        feed[TYPE_IDS] = padded_types(token_ids)
    return session.run(None, feed)[0]


def test_the_graph_gives_the_vectors_of_sentence_transformers(case):
    session, inputs = running(case.exported.graph), case.exported.inputs
    assert abs(run(session, inputs, case.token_ids) - case.expected).max() <= 1e-5
    for row, ids in enumerate(case.token_ids[::3]):
        alone = run(session, inputs, [ids])
        assert abs(alone - case.expected[row * 3]).max() <= 1e-5


def test_with_products_in_16_bits_vectors_stay_where_they_were(case):
    found = run(running(case.half), case.exported.inputs, case.token_ids)
    assert found.dtype == np.float32
    case.compare(found, 0.9999)
    sizes = [
        sum(each.stat().st_size for each in path.parent.glob("model.onnx*"))
        for path in (case.exported.graph, case.half)
    ]
    assert sizes[1] < sizes[0] * 0.55, "weights are still 32 bits wide"


def test_what_is_delicate_keeps_32_bits(case):
    import onnx  # noqa: PLC0415

    model = onnx.shape_inference.infer_shapes(onnx.load(str(case.half)))
    graph = model.graph
    kinds = {each.name: each.type.tensor_type.elem_type for each in (*graph.value_info, *graph.output)}
    kinds |= {each.name: each.data_type for each in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}

    def is_wide(name: str) -> bool:
        return kinds[name] == onnx.TensorProto.FLOAT

    delicate = [node for node in graph.node if node.op_type in DELICATE]
    assert len(delicate) >= 6
    assert all(is_wide(node.output[0]) for node in delicate)
    products = [node for node in graph.node if node.op_type in {"MatMul", "Gemm"}]
    assert sum(not is_wide(node.output[0]) for node in products) >= 3 * 6, (
        "of three layers: projections, attention, feed-forward"
    )

    waiting = [node for node in graph.node if node.op_type in {"Cos", "Sin"}]
    while waiting:  # rotary angles: nothing that they come from was narrow
        node = waiting.pop()
        assert node.op_type != "Cast" or kinds[node.output[0]] != onnx.TensorProto.FLOAT16
        waiting += [made_by[name] for name in node.input if name in made_by]


@pytest.fixture(scope="module")
def trt() -> Any:
    pytest.importorskip("tensorrt_rtx_libs", reason="there is no TensorRT-RTX for this platform")
    import tensorrt_rtx_bindings  # noqa: PLC0415

    return tensorrt_rtx_bindings


# TensorRT-RTX measures no kernels, and says so where a timing cache is given.
@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
def test_a_plan_is_built_for_an_l4(case, trt):
    assert len(plan_of(case.half, trt)) > 1_000_000


OF_ALL_KINDS = ("mpnet", "modernbert", "qwen3", "embedding-gemma", "cross-encoder")
"""Families that have, together, the operators of all."""


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
@pytest.mark.parametrize("family", OF_ALL_KINDS)
def test_a_plan_is_built_in_the_other_precisions_too(exported, family, precision, trt, tmp_path):
    graph = exported(family).graph
    if precision != "float32":
        lower(graph, tmp_path / "model.onnx", precision)
        graph = tmp_path / "model.onnx"
    assert len(plan_of(graph, trt)) > 1_000_000


def test_these_families_have_every_operator_of_the_others(exported):
    import onnx  # noqa: PLC0415

    def operators(families):
        graphs = [onnx.load(str(exported(family).graph), load_external_data=False).graph for family in families]
        return {node.op_type for graph in graphs for node in graph.node}

    assert operators(OF_ALL_KINDS) == operators(FAMILIES)


def plan_of(graph: Path, trt: Any) -> bytes:
    from embedplane_server.builders.tensorrt import build_plan  # noqa: PLC0415

    return build_plan(trt, graph, profiles_for(WINDOW), configure=for_an_l4).content


def test_bfloat16_is_rounded_as_torch_does():
    import torch  # noqa: PLC0415

    values = np.random.default_rng(4).standard_normal(4096).astype(np.float32) * 10 ** np.linspace(
        -8, 8, 4096, dtype=np.float32
    )
    expected = torch.from_numpy(values).bfloat16().view(torch.int16).numpy().view(np.uint16)
    assert (bfloat16_bits(values) == expected).all()


def test_what_torch_cannot_trace_is_refused():
    import torch  # noqa: PLC0415

    from embedplane_server.export import graph  # noqa: PLC0415

    class Undecided(torch.nn.Module):
        def forward(self, features: dict[str, Any]) -> dict[str, Any]:
            wide = features["input_ids"].float()
            return {"sentence_embedding": wide if wide.sum() > 3 else -wide}

    with pytest.raises(PermanentError, match=r"torch\.export cannot trace the model: .*data-dependent") as caught:
        graph.trace([Undecided()], graph.EMBEDDING)
    assert caught.value.reason == "UnsupportedModel"


def test_what_onnx_has_no_word_for_is_refused(tmp_path):
    import torch  # noqa: PLC0415

    from embedplane_server.export import graph  # noqa: PLC0415

    class Exotic(torch.nn.Module):
        def forward(self, features: dict[str, Any]) -> dict[str, Any]:
            return {"sentence_embedding": torch.special.bessel_j0(features["input_ids"].float())}

    program = graph.trace([Exotic()], graph.EMBEDDING)
    with pytest.raises(PermanentError, match=r"torch\.onnx cannot export the model: .*bessel_j0") as caught:
        graph.write_onnx(program, graph.EMBEDDING, tmp_path / "model.onnx")
    assert caught.value.reason == "UnsupportedModel"


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
def test_what_tensorrt_cannot_read_is_refused_in_its_words(trt, tmp_path):
    from onnx import TensorProto, helper, save  # noqa: PLC0415

    from embedplane_server.builders.tensorrt import build_plan  # noqa: PLC0415

    rectangle = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["texts", "tokens"])
    output = helper.make_tensor_value_info("sentence_embedding", TensorProto.STRING, ["texts"])
    node = helper.make_node("StringSplit", ["input_ids"], ["sentence_embedding", "count"], name="split")
    save(helper.make_model(helper.make_graph([node], "words", [rectangle], [output])), tmp_path / "model.onnx")
    with pytest.raises(PermanentError, match=r"TensorRT cannot read the model's ONNX graph: StringSplit split: "):
        build_plan(trt, tmp_path / "model.onnx", profiles_for(WINDOW), configure=for_an_l4)
