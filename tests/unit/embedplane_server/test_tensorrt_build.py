"""The whole build for a GPU that is not there: export, plan, proof, benchmark, publication, and the next build.

TensorRT-RTX builds the plans. It cannot load them without a driver, so what runs is the exported graph in ONNX Runtime,
behind the engine, its memory and its streams.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import pytest

from embedplane_server.builders import tensorrt
from embedplane_server.builders.gpu import GpuMachine
from embedplane_server.builders.gpu_room import GpuMemory
from embedplane_server.builders.manifest import engine_entry, find_engine, read_manifest
from embedplane_server.builders.tensorrt import TensorRtBuilder, need_driver
from embedplane_server.engines.tensorrt import PLAN
from embedplane_server.engines.tensorrt_shapes import CAPACITY
from embedplane_server.errors import EngineError, PermanentError, PermanentReason, TransientError
from embedplane_server.export.manifest import REFERENCES, TOKENIZER
from embedplane_server.store import files_below, open_store
from embedplane_server.store.timing import read_timings, timings_of
from tests.support.gpu_image.packages.numpy_gpu import Logger, NumpyDevice, numpy_tensorrt
from tests.support.tensorrt.workshop import L4, VERSION, Workshop

pytestmark = [
    pytest.mark.model,
    pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning"),
]

TIMINGS = timings_of(f"tensorrt-{VERSION}", "nvidia-l4-sm89")


@pytest.fixture(scope="module")
def workshop(bert_for_gpus: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A workshop that builds each plan once, which takes TensorRT-RTX seconds; most builds here differ elsewhere."""
    pytest.importorskip("tensorrt_rtx_libs", reason="there is no TensorRT-RTX for this platform")
    build_plan, known = tensorrt.build_plan, {}

    def remembered(trt, graph, profiles, timings, configure):
        files = sorted(graph.parent.glob(f"{graph.name}*"))
        key = (*(sha256(file.read_bytes()).digest() for file in files), timings)
        if key not in known:
            known[key] = build_plan(trt, graph, profiles, timings, configure)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensorrt, "build_plan", remembered)
        yield bert_for_gpus.moved_to(tmp_path_factory.mktemp("workshop"))


def l4_with(driver: str) -> GpuMachine:
    return replace(L4, driver=driver)


def test_a_build_proves_measures_and_publishes_a_plan(workshop, monkeypatch):
    built, told = workshop.build(monkeypatch)
    assert (built.backend, built.backend_version, built.precision) == ("tensorrt", VERSION, "float16")
    assert built.variant == "nvidia-l4-sm89-r580"
    assert built.conformance.minimum_cosine >= 0.999
    assert built.max_batch_tokens == built.benchmark.batch_tokens == CAPACITY
    assert "compiling in float16" in told

    store = open_store(workshop.steps.store)
    _, entry = asyncio.run(find_engine(store, built.key, L4))
    folder = asyncio.run(store.local_directory(engine_entry(built.key, built.variant), entry))
    assert sorted(files_below(folder)) == sorted([PLAN, REFERENCES, TOKENIZER, "engine.json"])
    assert (folder / PLAN).stat().st_size > 1_000_000
    assert read_manifest(folder).machine == {"gpu": "NVIDIA L4", "computeCapability": "8.9", "driver": "580.95.05"}


def test_a_node_with_a_newer_driver_builds_nothing_anew(workshop, monkeypatch):
    first, _ = workshop.build(monkeypatch)
    newer = l4_with("595.10")
    again, told = workshop.build(monkeypatch, newer)
    assert (again.key, again.variant) == (first.key, "nvidia-l4-sm89-r580")
    assert "is in the store" in told
    older = l4_with("570.1")
    other, told = workshop.build(monkeypatch, older)
    assert (other.key, other.variant) == (first.key, "nvidia-l4-sm89-r570")
    assert "publishing" in told


def test_a_precision_is_part_of_the_key_and_not_of_the_export(workshop, monkeypatch):
    keys = {workshop.build(monkeypatch, precision=precision)[0].key for precision in ("auto", "bfloat16", "float32")}
    assert len(keys) == 3


def test_a_gpu_without_bfloat16_says_so(workshop, monkeypatch):
    t4 = GpuMachine("x86-64", "Tesla T4", "7.5", "580.95.05")
    with pytest.raises(PermanentError, match=r"Tesla T4 .* has no bfloat16"):
        workshop.build(monkeypatch, t4, precision="bfloat16")
    assert workshop.builder(t4).precisions("auto", workshop.made_of.description) == ("float16", "float32")


def test_a_model_that_was_trained_in_bfloat16_is_tried_in_it_first(workshop):
    trained = replace(workshop.made_of.description, weights_type="bfloat16")
    t4 = GpuMachine("x86-64", "Tesla T4", "7.5", "580.95.05")

    assert workshop.builder().precisions("auto", trained) == ("bfloat16", "float16", "float32")
    assert workshop.builder().precisions("auto", workshop.made_of.description) == ("float16", "bfloat16", "float32")
    assert workshop.builder().precisions("float16", trained) == ("float16",)
    assert workshop.builder(t4).precisions("auto", trained) == ("float16", "float32")


def timings_in(workshop: Workshop) -> bytes:
    return asyncio.run(read_timings(open_store(workshop.steps.store), TIMINGS))


def test_what_is_measured_for_one_model_is_known_to_the_next_build_on_such_a_gpu(workshop, monkeypatch):
    before, _ = workshop.build(monkeypatch, precision="bfloat16")
    first = timings_in(workshop)
    assert first
    given = []
    build_plan = tensorrt.build_plan

    def remembering(*arguments):
        given.append(arguments[3])
        return build_plan(*arguments)

    monkeypatch.setattr(tensorrt, "build_plan", remembering)
    built, _ = workshop.build(monkeypatch, l4_with("570.1"), precision="bfloat16")

    assert given == [first]
    assert built.key == before.key
    store = open_store(workshop.steps.store)
    manifest, _ = asyncio.run(find_engine(store, built.key, l4_with("570.1")))
    assert manifest.timings == TIMINGS


@pytest.mark.parametrize("damage", [b"not of TensorRT", b""])
def test_measurements_that_are_of_no_use_end_no_build(workshop, damage):
    builder = workshop.builder()

    builder.compile(replace(workshop.made_of, timings=damage), "float16").close()

    assert builder.timings


def test_a_build_that_does_not_meet_the_floor_leaves_what_it_measured(workshop, monkeypatch):
    asyncio.run(open_store(workshop.steps.store).remove_document(TIMINGS))
    monkeypatch.setattr("embedplane_server.builders.step.hold_to_floor", refuse)

    with pytest.raises(PermanentError, match="too far off"):
        workshop.build(monkeypatch, l4_with("535.1"), precision="float16")

    assert timings_in(workshop)


def refuse(*_: object) -> None:
    raise PermanentError(PermanentReason.CONFORMANCE_FAILED, "too far off")


def test_a_gpu_without_room_is_refused_before_anything_is_compiled(workshop, monkeypatch):
    size = sum(file.stat().st_size for file in workshop.graph.parent.glob("model.onnx*"))
    small = GpuMemory(size // 2, size // 2)
    machine = l4_with("545.1")
    monkeypatch.setattr(tensorrt, "build_plan", None)

    with pytest.raises(PermanentError, match=r"NVIDIA L4 has .* in float16 needs at least") as caught:
        workshop.build(monkeypatch, builder=workshop.builder(machine, small))
    assert caught.value.reason == "GpuTooSmall"
    with pytest.raises(TransientError) as caught:
        workshop.build(monkeypatch, builder=workshop.builder(machine, GpuMemory(small.free, 24 * 2**30)))
    assert caught.value.reason == "GpuBusy"


def test_a_plan_that_is_refused_where_it_belongs_is_built_again_once(workshop, monkeypatch):
    machine = l4_with("560.1")
    first, _ = workshop.build(monkeypatch, machine)
    assert "is in the store" in workshop.build(monkeypatch, machine)[1]

    monkeypatch.setattr(TensorRtBuilder, "refusal", lambda self, engine: "built for another GPU")
    again, told = workshop.build(monkeypatch, machine)

    assert "is in the store, but is not loaded here: built for another GPU" in told
    assert again.variant == first.variant
    assert [each.entry for each in again.set_aside] == [engine_entry(first.key, first.variant)]
    assert asyncio.run(open_store(workshop.steps.store).find(engine_entry(first.key, first.variant)))


def test_a_variant_of_an_older_driver_that_is_refused_is_left_to_others(workshop, monkeypatch):
    first, _ = workshop.build(monkeypatch, l4_with("550.1"), precision="float32")
    monkeypatch.setattr(TensorRtBuilder, "refusal", lambda self, engine: "built for another GPU")

    other, _ = workshop.build(monkeypatch, l4_with("551.1"), precision="float32")

    assert (first.variant, other.variant) == ("nvidia-l4-sm89-r550", "nvidia-l4-sm89-r551")
    assert other.set_aside in (None, ())
    names = asyncio.run(open_store(workshop.steps.store).names(f"engines/{first.key}"))
    assert {first.variant, other.variant} <= set(names)


def test_a_builder_tells_a_plan_that_is_refused(workshop, tmp_path):
    (tmp_path / PLAN).write_bytes(b"another GPU's")
    builder = workshop.builder()
    assert builder.refusal(tmp_path) is None

    builder.trt.Runtime = numpy_tensorrt(None, "Target GPU SM 86 is not supported").Runtime
    builder.trt.ILogger = Logger
    assert "Target GPU SM 86 is not supported" in builder.refusal(tmp_path)

    full = workshop.builder()
    full.new_device = lambda: Refusing("allocate", "out of memory")
    assert full.refusal(tmp_path) is None


class Refusing(NumpyDevice):
    """A device on which one call fails with CUDA's words."""

    def __init__(self, call: str, words: str) -> None:
        super().__init__()

        def refuse(*_: object) -> None:
            raise EngineError(f"CUDA: {words}")

        setattr(self, call, refuse)


@pytest.mark.parametrize(
    ("words", "reason", "remedy"),
    [
        ("cudaErrorMemoryAllocation: out of memory", "OutOfMemory", "more memory"),
        (
            "cudaErrorUnsupportedPtxVersion: the PTX was compiled with an unsupported toolchain",
            "BackendUnavailable",
            "580",
        ),
    ],
)
def test_an_engine_that_does_not_run_here_says_what_to_change(workshop, words, reason, remedy):
    builder = workshop.builder()
    builder.new_device = lambda: Refusing("allocate", words)
    with pytest.raises(PermanentError, match=remedy) as caught:
        builder.compile(workshop.made_of, "float16")
    assert caught.value.reason == reason
    assert words in caught.value.message


def test_an_old_driver_is_found_before_any_work():
    need_driver(L4, NumpyDevice)
    words = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
    with pytest.raises(PermanentError, match=r"with the driver 580\.95\.05: CUDA: cudaErrorInsufficientDriver.*newer"):
        need_driver(L4, lambda: Refusing("create_stream", words))
