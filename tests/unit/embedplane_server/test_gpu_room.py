"""A GPU that cannot hold an engine is refused before any work; one that may hold it never is."""

import pytest

from embedplane_server.builders import gpu_room
from embedplane_server.builders.backend import Ingredients
from embedplane_server.builders.gpu_room import GpuMemory, Need, gpu_memory, least_need, need_room
from embedplane_server.errors import EngineError, PermanentError, TransientError
from tests.support.fake_engine import DIMENSIONS, engine_manifest

MIB, GIB = 2**20, 2**30
NEED = Need(weights=13 * GIB, activations=GIB // 2)


def test_room_is_all_that_is_asked_for():
    for memory in (GpuMemory(24 * GIB, 24 * GIB), GpuMemory(NEED.total, 24 * GIB), None):
        need_room("NVIDIA L4", memory, NEED, "float16")


def test_a_gpu_that_is_too_small_is_refused_for_good_with_all_numbers():
    slice_of_a_gpu = GpuMemory(9 * GIB, 10 * GIB)
    with pytest.raises(
        PermanentError,
        match=r"NVIDIA A100 has 10\.00 GiB of memory here, .* in float16 needs at least 13\.50 GiB \(13\.00 GiB of "
        r"weights, 0\.50 GiB of activations\)\. Choose an accelerator profile with more memory .* larger MIG slice",
    ) as caught:
        need_room("NVIDIA A100", slice_of_a_gpu, NEED, "float16")
    assert caught.value.reason == "GpuTooSmall"


def test_a_gpu_that_others_fill_is_tried_again():
    with pytest.raises(
        TransientError,
        match=r"12\.00 GiB of 24\.00 GiB of the memory of NVIDIA L4 are free, .* at least 13\.50 GiB .* Other "
        r"processes hold the rest.*end them, or choose an accelerator profile whose GPUs are not shared",
    ) as caught:
        need_room("NVIDIA L4", GpuMemory(12 * GIB, 24 * GIB), NEED, "float16")
    assert caught.value.reason == "GpuBusy"


def test_the_need_is_the_graphs_weights_and_the_largest_batch(tmp_path):
    (tmp_path / "model.onnx").write_bytes(bytes(MIB))
    (tmp_path / "model.onnx.data").write_bytes(bytes(3 * MIB))
    (tmp_path / "references.npz").write_bytes(bytes(MIB))
    made_of = Ingredients(tmp_path, engine_manifest().description)

    needs = {each: least_need(made_of, each, 1000) for each in ("float32", "float16", "bfloat16", "narrower")}

    assert needs["float32"] == Need(4 * MIB, 1000 * DIMENSIONS * 5 * 4)
    assert needs["float16"] == needs["bfloat16"] == Need(2 * MIB, 1000 * DIMENSIONS * 5 * 2)
    assert needs["narrower"].weights == MIB


def test_cuda_says_what_there_is_of_the_device(monkeypatch):
    from embedplane_server.engines import cuda  # noqa: PLC0415 -- NVIDIA's bindings

    monkeypatch.setattr(cuda, "memory", lambda: (3 * GIB, 5 * GIB))
    assert gpu_room.gpu_memory() == GpuMemory(3 * GIB, 5 * GIB)


def test_nothing_is_refused_where_cuda_does_not_say():
    from embedplane_server.engines import cuda  # noqa: PLC0415 -- NVIDIA's bindings

    with pytest.raises(EngineError, match="CUDA: "):
        cuda.memory()  # there is no driver here
    assert gpu_memory() is None
