"""Which GPU is here, what may be built on it, and which engines of others it runs."""

import pytest

from embedplane_server.builders.gpu import GpuMachine, gpu_machine, need_gpu, this_machine
from embedplane_server.builders.machine import machine_class
from embedplane_server.builders.manifest import ENGINE_FILE, backend_version, engine_entry, engine_key, find_engine
from embedplane_server.engines import load, tensorrt_library
from embedplane_server.engines.load import refuse_other_library
from embedplane_server.engines.tensorrt import PLAN
from embedplane_server.engines.tensorrt_library import load_library
from embedplane_server.errors import EngineIncompatible, PermanentError
from embedplane_server.settings import EngineSettings, Gpu
from embedplane_server.store import open_store
from tests.support.fake_engine import engine_manifest
from tests.support.gpu_image.packages.numpy_gpu import numpy_tensorrt

L4 = GpuMachine("x86-64", "NVIDIA L4", "8.9", "580.95.05")
NEWER = GpuMachine("x86-64", "NVIDIA L4", "8.9", "595.10")
T4 = GpuMachine("x86-64", "Tesla T4", "7.5", "580.95.05")


def test_nvidia_smi_says_what_the_machine_is():
    found = gpu_machine(lambda: "NVIDIA L4, 8.9, 580.95.05\n")
    assert (found.variant, found.has_bfloat16) == ("nvidia-l4-sm89-r580", True)
    assert found.facts == {"gpu": "NVIDIA L4", "computeCapability": "8.9", "driver": "580.95.05"}
    assert (T4.variant, T4.has_bfloat16) == ("tesla-t4-sm75-r580", False)


@pytest.mark.parametrize("words", ["", "No devices were found", "NVIDIA L4, [N/A], 580.95.05", "NVIDIA L4, 8.9, [N/A]"])
def test_a_gpu_that_does_not_answer_is_told(words):
    with pytest.raises(PermanentError, match=r"no NVIDIA GPU that answers .*nvidia\.com/gpu") as caught:
        gpu_machine(lambda: words)
    assert caught.value.reason == "BackendUnavailable"


def test_a_machine_without_nvidia_smi_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PermanentError, match="no NVIDIA GPU that answers"):
        gpu_machine()


def test_an_image_without_tensorrt_runs_on_the_cpu():
    assert this_machine() == machine_class()


def test_the_profile_has_to_be_that_of_the_node():
    need_gpu(L4, Gpu(name="NVIDIA L4", compute_capability="8.9"))
    need_gpu(L4, None)
    with pytest.raises(
        PermanentError, match=r"says NVIDIA A10G \(compute capability 8\.6\), but this node has NVIDIA L4"
    ):
        need_gpu(L4, Gpu(name="NVIDIA A10G", compute_capability="8.6"))


@pytest.mark.parametrize("minimum", [None, "550", "580", "580.95", "580.95.05"])
def test_a_driver_that_is_new_enough_is_taken(minimum):
    need_gpu(L4, Gpu(name="NVIDIA L4", compute_capability="8.9", minimum_driver=minimum))


@pytest.mark.parametrize("minimum", ["581", "580.105", "580.95.06"])
def test_an_older_driver_than_the_profile_wants_is_refused_with_both_named(minimum):
    with pytest.raises(
        PermanentError,
        match=rf"driver is 580\.95\.05, older than {minimum}, .* profile for NVIDIA L4\. Install a newer driver",
    ) as caught:
        need_gpu(L4, Gpu(name="NVIDIA L4", compute_capability="8.9", minimum_driver=minimum))
    assert caught.value.reason == "DriverTooOld"


async def test_a_newer_driver_runs_what_an_older_one_built_and_not_the_other_way_round(tmp_path):
    store = open_store(f"file://{tmp_path}/store")
    (tmp_path / "plan").write_text("plan")
    manifest = engine_manifest(key="en1-0", variant=L4.variant, precision="float16")
    await store.publish(engine_entry("en1-0", L4.variant), tmp_path, ["plan"], manifest.model_dump(mode="json"))
    assert (await find_engine(store, "en1-0", NEWER))[0].variant == L4.variant
    assert NEWER.is_served_by(L4.variant)
    older = GpuMachine("x86-64", "NVIDIA L4", "8.9", "570.1")
    for other in (older, T4, machine_class()):
        assert not other.is_served_by(L4.variant)
        with pytest.raises(EngineIncompatible, match="nvidia-l4-sm89-r580"):
            await find_engine(store, "en1-0", other)


def key_for(machine=L4, **gpu):
    wanted = Gpu(name="NVIDIA L4", compute_capability="8.9", **gpu)
    return engine_key("vs1-0", EngineSettings(backend="tensorrt", gpu=wanted), "10.14.1.48", machine)


def test_drivers_are_in_no_key():
    assert key_for(L4) == key_for(NEWER) == key_for(minimum_driver="580.95.05")


def test_keys_of_whole_gpus_are_what_they_were_before_there_were_slices():
    assert key_for() == "en1-06fb4fcf2408ae8e41a9"
    assert len({key_for(mig_profile=slice_) for slice_ in (None, "1g.10gb", "2g.20gb")}) == 3


@pytest.mark.parametrize("driver", ["580", "580.95", "580.95.05"])
def test_a_least_driver_is_a_version(driver):
    assert Gpu(name="x", compute_capability="8.9", minimum_driver=driver).minimum_driver == driver
    with pytest.raises(ValueError, match="minimum_driver"):
        Gpu(name="x", compute_capability="8.9", minimum_driver=f"r{driver}")


def test_the_operator_says_the_least_driver_beside_the_gpu():
    gpu = {"name": "NVIDIA L4", "computeCapability": "8.9", "minimumDriver": "550"}
    engine = EngineSettings.model_validate({"backend": "tensorrt", "gpu": gpu})
    assert engine.gpu == Gpu(name="NVIDIA L4", compute_capability="8.9", minimum_driver="550")


async def test_a_server_takes_the_variant_of_its_own_driver_before_others(tmp_path):
    store = open_store(f"file://{tmp_path}/store")
    (tmp_path / "plan").write_text("plan")
    for variant in ("nvidia-l4-sm89-r570", "nvidia-l4-sm89-r580", "nvidia-l4-sm89-r595", "tesla-t4-sm75-r535"):
        manifest = engine_manifest(key="en1-0", variant=variant, precision="float16")
        await store.publish(engine_entry("en1-0", variant), tmp_path, ["plan"], manifest.model_dump(mode="json"))

    assert (await find_engine(store, "en1-0", L4))[0].variant == L4.variant
    between = GpuMachine("x86-64", "NVIDIA L4", "8.9", "575.57.08")
    assert (await find_engine(store, "en1-0", between))[0].variant == "nvidia-l4-sm89-r570"


def test_a_plan_that_tensorrt_refuses_is_to_be_built_again(tmp_path, monkeypatch):
    manifest = engine_manifest(key="en1-0", variant=L4.variant, backend="tensorrt", backend_version="10.14.1.48")
    (tmp_path / ENGINE_FILE).write_text(manifest.model_dump_json())
    (tmp_path / PLAN).write_bytes(b"another GPU's")
    refusing = numpy_tensorrt(None, "The engine plan file is not compatible with this device")
    monkeypatch.setattr(tensorrt_library, "load_library", lambda _="tensorrt": refusing)
    monkeypatch.setattr(load, "backend_version", lambda _: "10.14.1.48")
    monkeypatch.setattr(load, "this_machine", lambda: NEWER)

    with pytest.raises(
        EngineIncompatible, match=r"en1-0 \(nvidia-l4-sm89-r580\) does not fit here: .*not compatible with this device"
    ) as caught:
        load.load_engine(tmp_path, threads=1)
    assert caught.value.about == {"engine": "en1-0", "machine": NEWER.variant}


def test_a_plan_of_another_tensorrt_is_not_even_read():
    manifest = engine_manifest(key="en1-0", variant=L4.variant, backend="tensorrt", backend_version="10.14.1.48")
    refuse_other_library(manifest, "10.14.1.48")
    with pytest.raises(EngineIncompatible, match=r"built with tensorrt 10\.14\.1\.48, this image has 10\.15\.1"):
        refuse_other_library(manifest, "10.15.1")


def test_an_image_without_the_library_names_the_one_that_has_it():
    with pytest.raises(PermanentError, match=r"tensorrt is not in this image.*images\.gpuServer") as caught:
        backend_version("tensorrt")
    assert caught.value.reason == "BackendUnavailable"
    for name in ("tensorrt", "cuda_of_another_image.runtime"):
        with pytest.raises(PermanentError, match=rf"{name} cannot be loaded in this image.*images\.gpuServer"):
            load_library(name)
