"""`precision: fp8`: which products are rounded, what that does to vectors, and what becomes of an engine that it costs.

ONNX Runtime rounds to fp8 and multiplies in float32, which is what a GPU computes but for the order of sums.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from embedplane_server.builders.gpu import GpuMachine
from embedplane_server.builders.onnx_fp8 import quantize
from embedplane_server.builders.onnx_precision import lower
from embedplane_server.engines.padding import padded
from embedplane_server.engines.tensorrt_shapes import profiles_for
from embedplane_server.errors import PermanentError
from embedplane_server.results import BuildResult
from embedplane_server.store import open_store
from tests.support.fake_engine import engine_manifest
from tests.support.reference import cosines
from tests.support.tensorrt.families import WINDOW, Exported, Make
from tests.support.tensorrt.reading import for_an_l4, reading_builder, running
from tests.support.tensorrt.workshop import L4, Workshop
from tests.support.texts import texts_up_to

pytestmark = [
    pytest.mark.model,
    pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning"),
]

TEXTS = texts_up_to(140, 9)
LAYERS = 3


@dataclass(frozen=True)
class Case:
    """A family's model with its products in fp8, and texts as token ids."""

    exported: Exported
    graph: Path
    token_ids: list[list[int]]


@pytest.fixture(scope="module", params=["bert", "mpnet", "xlm-roberta", "modernbert", "qwen3"])
def case(request: pytest.FixtureRequest, exported: Make, tmp_path_factory: pytest.TempPathFactory) -> Case:
    from embedplane_server.export import reference  # noqa: PLC0415 -- torch

    made = exported(request.param)
    token_ids = [reference.token_ids(made.model, text) for text in TEXTS]
    return Case(made, in_fp8(made.graph, tmp_path_factory.mktemp(request.param), token_ids), token_ids)


def in_fp8(source: Path, folder: Path, token_ids: list[list[int]]) -> Path:
    target = folder / "fp8.onnx"
    lower(source, target, "float16")
    quantize(target, token_ids)
    return target


def test_every_product_with_weights_is_in_fp8_and_no_other(case):
    import onnx  # noqa: PLC0415

    graph = onnx.load(str(case.graph)).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    products = [node for node in graph.node if node.op_type in {"MatMul", "Gemm"}]
    rounded = [node for node in products if "DequantizeLinear" in {made_by.get(name) for name in node.input}]
    others = [node for node in products if node not in rounded]

    assert len(rounded) >= LAYERS * 4, "projections and feed-forward"
    for node in rounded:
        assert [made_by.get(name) for name in node.input[:2]] == ["DequantizeLinear"] * 2
    narrow = onnx.TensorProto.FLOAT16  # in 32 bits are angles of positions, and what comes after pooling
    weights = {each.name for each in graph.initializer if len(each.dims) == 2 and each.data_type == narrow}
    assert not [node.name for node in others if set(node.input) & weights], "products with weights were left out"


def test_vectors_stay_near_where_they_were(case):
    from embedplane_server.export import reference  # noqa: PLC0415

    expected = np.concatenate([reference.vectors(case.exported.model, [text]) for text in TEXTS])
    session = running(case.graph)
    together = session.run(None, padded(case.token_ids))[0]
    assert cosines(together, expected).min() >= 0.97
    alone = np.concatenate([session.run(None, padded([ids]))[0] for ids in case.token_ids])
    assert cosines(alone, together).min() >= 0.999, "a scale depends on the batch"


def test_a_plan_for_an_l4_holds_weights_of_8_bits(case):
    rtx = pytest.importorskip("tensorrt_rtx_bindings", reason="there is no TensorRT-RTX for this platform")
    from embedplane_server.builders.tensorrt import build_plan  # noqa: PLC0415

    plan = build_plan(rtx, case.graph, profiles_for(WINDOW), configure=for_an_l4).content

    found = [tuple(is_part_of(plan, bits) for bits in weights) for weights in weights_of(case.graph)]
    assert len(found) >= LAYERS * 4
    assert set(found) == {(True, False)}, "in 8 bits, and not in 16"


def weights_of(graph: Path) -> list[tuple[NDArray[np.uint8], NDArray[np.uint16]]]:
    """Return the bits of all weights that go through fp8, `[in, out]`: rounded by torch, and as they were."""
    import onnx  # noqa: PLC0415
    import torch  # noqa: PLC0415

    model = onnx.load(str(graph)).graph
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in model.initializer if each.data_type == 10}
    found = []
    for node in model.node:
        if node.op_type == "QuantizeLinear" and node.input[0] in constants:
            weights, scale = (torch.from_numpy(constants[name].copy()).float() for name in node.input[:2])
            rounded = (weights / scale).to(torch.float8_e4m3fn).view(torch.uint8).numpy()
            found.append((rounded, constants[node.input[0]].view(np.uint16)))
    return found


def is_part_of(plan: bytes, bits: NDArray[Any]) -> bool:
    """Tell whether of any of some rows, or columns, of weights 16 bytes in a row stand in a plan like this."""
    count = 16 // bits.itemsize
    return any(
        np.ascontiguousarray(part).tobytes() in plan
        for place in range(0, 32, 4)
        for part in (bits[place, :count], bits[:count, place])
    )


@pytest.fixture(scope="module")
def workshop(bert_for_gpus: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    pytest.importorskip("tensorrt_rtx_libs", reason="there is no TensorRT-RTX for this platform")
    return bert_for_gpus.moved_to(tmp_path_factory.mktemp("workshop"))


def build(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, floor: float) -> BuildResult:
    """Build in fp8; what runs is the graph that TensorRT read."""
    built, _ = workshop.build(monkeypatch, builder=reading_builder(L4), minimum_cosine=floor, precision="fp8")
    return built


def test_an_engine_below_the_floor_is_not_published(workshop, monkeypatch):
    with pytest.raises(PermanentError, match=r"the fp8 engine's .* below the floor 0\.9999.*minimumCosine") as caught:
        build(workshop, monkeypatch, floor=0.9999)
    assert caught.value.reason == "ConformanceFailed"
    assert asyncio.run(open_store(workshop.steps.store).names("engines")) == []


def test_who_accepts_a_lower_floor_gets_the_engine(workshop, monkeypatch):
    built = build(workshop, monkeypatch, floor=0.97)
    assert (built.backend, built.precision, built.variant) == ("tensorrt", "fp8", "nvidia-l4-sm89-r580")
    assert 0.97 <= built.conformance.minimum_cosine < 0.9999, "what ran was not the graph in fp8"


def test_automatic_precision_never_takes_it():
    assert "fp8" not in reading_builder(L4).precisions("auto", engine_manifest().description)


def test_a_gpu_without_fp8_says_so():
    a100 = GpuMachine("x86-64", "NVIDIA A100-SXM4-40GB", "8.0", "580.95.05")
    with pytest.raises(PermanentError, match=r"A100-SXM4-40GB \(compute capability 8\.0\) has no fp8.*8\.9 or newer"):
        reading_builder(a100).precisions("fp8", engine_manifest().description)
