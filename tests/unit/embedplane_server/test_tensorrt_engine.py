"""Batches through the TensorRT engine, over a GPU of numpy: padding, profiles, copies, recordings and lanes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from embedplane_server.engines.base import Batch, PromptedIds, TypedIds
from embedplane_server.engines.tensorrt import LANES, TensorRtEngine, UnusablePlanError
from embedplane_server.engines.tensorrt_shapes import CAPACITY, Profile, chosen, profiles_for
from embedplane_server.errors import EngineError
from tests.support.gpu_image.packages.numpy_gpu import NumpyDevice, NumpyPlan, numpy_tensorrt

DIMENSIONS, WORDS, WINDOW = 8, 100, 70
TABLE = np.random.default_rng(5).standard_normal((WORDS, DIMENSIONS)).astype(np.float32)
SMALL = (
    Profile((1, 1), (1, 16), (1, 40)),
    Profile((1, 1), (4, 32), (4, 32)),
    Profile((1, 33), (3, WINDOW), (3, WINDOW)),
)


def mean_of_words(inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Stand for a model: whatever is pooled, moved by its type and by how many tokens were seen."""
    seen = inputs["attention_mask"].astype(np.float32)
    pooled = inputs.get("pooling_mask", inputs["attention_mask"]).astype(np.float32)
    types = inputs.get("token_type_ids", np.zeros_like(inputs["input_ids"])).astype(np.float32)
    words = TABLE[inputs["input_ids"]] + types[..., None] + seen.sum(axis=1)[:, None, None]
    return ((words * pooled[..., None]).sum(axis=1) / pooled.sum(axis=1)[:, None]).astype(np.float32)


def engine_over(device: NumpyDevice, *inputs: str, profiles: tuple[Profile, ...] = SMALL) -> TensorRtEngine:
    plan = NumpyPlan(("input_ids", "attention_mask", *inputs), mean_of_words, DIMENSIONS, profiles, device)
    return TensorRtEngine(numpy_tensorrt(plan), b"plan", device)


def texts(*lengths: int, seed: int = 6) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [random.integers(0, WORDS, length).tolist() for length in lengths]


def expected(token_ids: list[list[int]]) -> NDArray[np.float32]:
    return np.stack([TABLE[ids].mean(axis=0) + len(ids) for ids in token_ids])


@pytest.fixture
def device() -> NumpyDevice:
    return NumpyDevice()


@pytest.mark.parametrize(
    "lengths",
    [(5,), (1,), (WINDOW,), (3, 20, 7), (30, 31, 32, 1), (33, 2), (66, WINDOW, 1), (2,) * 11, (69,) * 7, (40, 40)],
)
def test_each_text_of_a_batch_has_its_own_vector(device, lengths):
    engine = engine_over(device)
    batch = texts(*lengths)
    for _ in range(3):  # the first run of a lone text is recorded, later ones are launched
        found = engine.embed(Batch(batch, alone=len(batch) == 1))
        assert found.shape == (len(batch), DIMENSIONS)
        assert found == pytest.approx(expected(batch), rel=1e-5)


def test_what_was_in_a_lane_before_shows_in_no_vector(device):
    engine = engine_over(device)
    for seed, lengths in enumerate([(32, 32, 32, 32), (1, 1), (WINDOW,), (34, 60, 70), (2,)]):
        batch = texts(*lengths, seed=seed)
        assert engine.embed(Batch(batch)) == pytest.approx(expected(batch), rel=1e-5)


def test_a_lone_text_is_recorded_once_a_shape_and_lane(device):
    engine = engine_over(device)
    for seed in range(10):
        batch = texts(15, seed=seed)  # padded to 16
        assert engine.embed(Batch(batch, alone=True)) == pytest.approx(expected(batch), rel=1e-5)
    assert (device.recorded, device.launched) == (LANES, 10 - LANES)


def test_a_text_so_long_that_it_is_alone_in_any_batch_is_not_recorded(device):
    engine = engine_over(device, profiles=(*SMALL[:2], Profile((1, 33), (1, WINDOW), (1, WINDOW))))
    batch = texts(60, 61, 62)
    assert engine.embed(Batch(batch)) == pytest.approx(expected(batch), rel=1e-5)
    assert engine.embed(Batch(texts(66))) == pytest.approx(expected(texts(66)), rel=1e-5)
    assert device.recorded == 0


def test_only_so_many_shapes_stay_recorded(device, monkeypatch):
    monkeypatch.setattr("embedplane_server.engines.tensorrt._GRAPHS_OF_A_LANE", 2)
    engine = engine_over(device)
    for length in (2, 4, 6, 8, 2, 4, 6, 8) * 2:
        batch = texts(length)
        assert engine.embed(Batch(batch)) == pytest.approx(expected(batch), rel=1e-5)
    assert device.recorded - device.discarded == 2 * LANES


def test_warm_shapes_are_not_recorded_again(device):
    engine = engine_over(device)
    engine.warm_up(WINDOW)
    warmed = device.recorded
    assert warmed == LANES * (16 + 1)  # lone texts of 2, 4, ... 32 tokens, and of 40
    for length in range(1, 41):
        assert engine.embed(Batch(texts(length))) == pytest.approx(expected(texts(length)), rel=1e-5)
    assert device.recorded == warmed


def test_lanes_do_not_disturb_each_other(device):
    engine = engine_over(device)
    assert engine.parallel == LANES
    batches = [texts(*(1 + (seed * 7 + row) % 32 for row in range(4)), seed=seed) for seed in range(40)]
    with ThreadPoolExecutor(LANES) as threads:
        for batch, found in zip(batches, threads.map(lambda each: engine.embed(Batch(each)), batches), strict=True):
            assert found == pytest.approx(expected(batch), rel=1e-5)


def test_types_and_prompts_reach_a_plan_that_takes_them(device):
    engine = engine_over(device, "token_type_ids", "pooling_mask")
    plain, typed, prompted = texts(6, 6, 6)
    found = engine.embed(Batch([plain, TypedIds(typed, [0, 0, 0, 1, 1, 1]), PromptedIds(prompted, 2)]))
    assert found[0] == pytest.approx(expected([plain])[0], rel=1e-5)
    assert found[1] == pytest.approx(expected([typed])[0] + 0.5, rel=1e-5)
    assert found[2] == pytest.approx(TABLE[prompted[2:]].mean(axis=0) + 6, rel=1e-5)


def test_it_has_no_vectors_of_tokens_and_says_so(device):
    engine = engine_over(device)
    assert (engine.dimensions, engine.token_dimensions, engine.row_tokens) == (DIMENSIONS, None, None)
    with pytest.raises(EngineError, match="single tokens"):
        engine.embed(Batch(texts(3), every_token=True))


def test_a_plan_that_tensorrt_refuses_is_told_in_its_words(device):
    with pytest.raises(UnusablePlanError, match="built for another compute capability"):
        TensorRtEngine(numpy_tensorrt(None, "The engine was built for another compute capability"), b"plan", device)


def test_a_closed_engine_leaves_nothing(device):
    engine = engine_over(device)
    engine.embed(Batch(texts(4)))
    engine.close()
    assert device.recorded == device.discarded
    assert device.is_closed


@pytest.mark.parametrize("window", [1, 16, 32, 33, 128, 256, 512, 514, 8192, 32768])
def test_profiles_cover_every_length_up_to_the_window(window):
    profiles = profiles_for(window)
    for length in {1, 2, 31, 32, 33, 127, 129, 500, window} & set(range(1, window + 1)):
        assert profiles[chosen(profiles, 40, length)].takes(length)
        assert profiles[chosen(profiles, 1, length)].most[0] == 1 or length > 512 or window <= 1
    assert max(profile.most[1] for profile in profiles) == window
    assert all(rows * length <= max(CAPACITY, window) for rows, length in (profile.most for profile in profiles))
    with pytest.raises(ValueError, match="no profile takes"):
        chosen(profiles, 1, window + 1)


def test_without_a_driver_the_device_says_what_cuda_says():
    """NVIDIA's own bindings take our arguments: what is wrong is the driver, not a type."""
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="comes with torch's CUDA build")
    from embedplane_server.engines.cuda import CudaDevice  # noqa: PLC0415 -- a library of GPU images

    if runtime.cudaGetDeviceCount()[0] == runtime.cudaError_t.cudaSuccess:
        pytest.skip("this machine has a GPU")
    device, content = CudaDevice(), np.zeros(16, dtype=np.uint8)
    calls: list[Callable[[], object]] = [
        lambda: device.allocate(16),
        lambda: device.allocate_pinned(16),
        device.create_stream,
        lambda: device.upload(256, content, 1),
        lambda: device.download(content, 256, 1),
        lambda: device.synchronize(1),
        lambda: device.record(lambda: None, 1),
        lambda: device.launch(runtime.cudaGraphExec_t(), 1),
        lambda: device.discard(runtime.cudaGraphExec_t()),
    ]
    for call in calls:
        with pytest.raises(EngineError, match="CUDA: cudaError"):
            call()
    device.close()
