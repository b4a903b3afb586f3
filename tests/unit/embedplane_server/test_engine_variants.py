"""Keys, variants, and which of them a machine runs."""

import pytest

from embedplane_server.builders.backend import backend_builder
from embedplane_server.builders.machine import classify, machine_class, usable_cpus
from embedplane_server.builders.manifest import engine_entry, engine_key, find_engine
from embedplane_server.builders.openvino import precisions
from embedplane_server.errors import EngineIncompatible, EngineMissing, PermanentError
from embedplane_server.export.manifest import export_key
from embedplane_server.settings import BuildSettings, EngineSettings, Gpu
from embedplane_server.store import open_store
from tests.support.fake_engine import engine_manifest

AMX = classify("x86-64", {"avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512_bf16", "amx_bf16"})
AVX2 = classify("x86-64", {"avx2", "fma"})
KEY = "en1-0"


async def publish(store, tmp_path, variant, precision):
    manifest = engine_manifest(key=KEY, variant=variant, precision=precision)
    (tmp_path / "graph").write_text(variant)
    await store.publish(engine_entry(KEY, variant), tmp_path, ["graph"], manifest.model_dump(mode="json"))


def test_flags_make_the_class_of_a_machine(tmp_path):
    assert (AMX.variant, AVX2.variant) == ("x86-64-amx-bf16", "x86-64-avx2")
    assert classify("x86-64", set()).variant == "x86-64-baseline"
    assert classify("arm64", {"asimd", "bf16"}).has_bfloat16
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu avx2 fma\n")
    assert machine_class(cpuinfo).instructions == "avx2"
    assert machine_class(tmp_path / "nothing").instructions == "baseline"


async def test_the_machines_own_variant_is_preferred(tmp_path):
    store = open_store(f"file://{tmp_path}/store")
    await publish(store, tmp_path, AVX2.variant, "float32")
    await publish(store, tmp_path, AMX.variant, "bfloat16")
    assert (await find_engine(store, KEY, AMX))[0].variant == AMX.variant
    assert (await find_engine(store, KEY, AVX2))[0].variant == AVX2.variant


async def test_a_float32_variant_of_another_class_fits(tmp_path):
    store = open_store(f"file://{tmp_path}/store")
    await publish(store, tmp_path, AVX2.variant, "float32")
    assert (await find_engine(store, KEY, AMX))[0].variant == AVX2.variant


async def test_a_bfloat16_variant_does_not_fit_a_machine_without(tmp_path):
    store = open_store(f"file://{tmp_path}/store")
    await publish(store, tmp_path, AMX.variant, "bfloat16")
    with pytest.raises(EngineIncompatible, match=r"x86-64-avx2.*has x86-64-amx-bf16"):
        await find_engine(store, KEY, AVX2)


@pytest.mark.parametrize("machine", [AVX2, classify("x86-64", {"avx512f", "avx512bw", "avx512vl"})])
async def test_an_int8_variant_does_not_fit_a_machine_whose_sums_may_overflow(tmp_path, machine):
    store = open_store(f"file://{tmp_path}/store")
    await publish(store, tmp_path, AMX.variant, "int8")
    assert (await find_engine(store, KEY, classify("x86-64", {"avx512_bf16"})))[0].variant == AMX.variant
    with pytest.raises(EngineIncompatible, match=machine.variant):
        await find_engine(store, KEY, machine)


async def test_a_store_without_any_variant_misses_the_engine(tmp_path):
    with pytest.raises(EngineMissing, match=KEY):
        await find_engine(open_store(f"file://{tmp_path}/store"), KEY, AVX2)


def test_the_engine_key_covers_what_is_known_before_a_build():
    settings = EngineSettings(backend="openvino")
    key = engine_key("vs1-0", settings, "2026.4.1", AMX)
    assert key == engine_key("vs1-0", settings, "2026.4.1", AVX2)
    others = [
        engine_key("vs1-1", settings, "2026.4.1", AMX),
        engine_key("vs1-0", EngineSettings(backend="openvino", precision="float32"), "2026.4.1", AMX),
        engine_key("vs1-0", EngineSettings(backend="openvino", precision="int8"), "2026.4.1", AMX),
        engine_key("vs1-0", settings, "2026.5.0", AMX),
        engine_key("vs1-0", settings, "2026.4.1", classify("arm64", set())),
    ]
    assert len({key, *others}) == 6


def test_the_export_key_covers_space_and_format():
    assert len({export_key(space, kind) for space in ("vs1-0", "vs1-1") for kind in ("openvino", "onnx")}) == 4


def test_automatic_precision_tries_the_fastest_first():
    assert precisions("auto", AMX) == ("bfloat16", "float32")
    assert precisions("auto", AVX2) == ("float32",)
    assert precisions("float32", AMX) == ("float32",)
    assert precisions("int8", AMX) == ("int8",)


@pytest.mark.parametrize(
    ("precision", "reason"),
    [("bfloat16", "BackendUnavailable"), ("int8", "BackendUnavailable"), ("float16", "InvalidSettings")],
)
def test_a_precision_that_the_machine_has_not_is_refused(precision, reason):
    with pytest.raises(PermanentError) as caught:
        precisions(precision, AVX2)
    assert caught.value.reason == reason


def test_int8_on_a_gpu_is_refused_before_any_work():
    gpu = Gpu(name="NVIDIA L4", compute_capability="8.9")
    for backend in ("tensorrt", "tensorrt-llm"):
        engine = EngineSettings(backend=backend, precision="int8", gpu=gpu)
        with pytest.raises(PermanentError, match=r"int8 is for CPUs\. Write auto") as caught:
            backend_builder(BuildSettings(export_key="ex1-0", engine=engine, threads=1))
        assert caught.value.reason == "InvalidSettings"


@pytest.mark.parametrize(("content", "most"), [("max 100000", None), ("50000 100000", 1), ("150000 100000", 2)])
def test_a_containers_limit_counts_rounded_up(tmp_path, content, most):
    (tmp_path / "cpu.max").write_text(content)
    cpus = usable_cpus(tmp_path / "cpu.max")
    assert cpus == usable_cpus(tmp_path / "nothing") if most is None else cpus <= most


def test_keys_are_what_they_were_before_engines_were_proven_with_more():
    space, engine = "vs1-00112233445566778899", EngineSettings(backend="openvino")
    assert engine_key(space, engine, "2026.4.1", AMX) == "en1-1b157edc2dd6a7f476da"
    assert export_key(space, "openvino") == "ex1-2dd2859c0f2b8290a12e"
    assert export_key(space, "onnx") == "ex1-f786a18e33dd5bcaa75a"


def test_an_engine_that_is_proven_with_own_texts_has_a_key_of_its_own():
    keys = {
        engine_key("vs1-0", EngineSettings(backend="openvino", texts=texts), "2026.4.1", AMX)
        for texts in (None, "a" * 64, "b" * 64)
    }
    assert len(keys) == 3
