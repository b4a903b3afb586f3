"""Kernels that one build has measured are known to the next one, and nothing that becomes of that ends a build."""

import asyncio
from types import SimpleNamespace

import pytest

from embedplane_server.builders.step import Order
from embedplane_server.errors import TransientError
from embedplane_server.settings import BuildSettings, EngineSettings, Gpu
from embedplane_server.store import open_store, timing
from embedplane_server.store.objects import Objects, unavailable
from embedplane_server.store.timing import keep_timings, read_timings, timings_of

PLACE = timings_of("tensorrt-10.14.1.48", "nvidia-l4-sm89")


@pytest.fixture
def store(tmp_path):
    return open_store(f"file://{tmp_path}/store")


async def test_what_one_build_keeps_the_next_one_reads(store):
    assert await read_timings(store, PLACE) == b""

    await keep_timings(store, PLACE, b"kernels")

    assert await read_timings(store, PLACE) == b"kernels"
    for other in ("tensorrt-10.15.1", "tensorrt-llm-1.2.1"):
        assert await read_timings(store, timings_of(other, "nvidia-l4-sm89")) == b""
    assert await read_timings(store, timings_of("tensorrt-10.14.1.48", "tesla-t4-sm75")) == b""


async def test_of_builds_side_by_side_the_last_one_to_end_is_known(store):
    written = [bytes([letter]) * 100_000 for letter in b"abcdefgh"]

    await asyncio.gather(*(keep_timings(store, PLACE, each) for each in written))

    assert await read_timings(store, PLACE) in written
    assert [each.path for each in await store.listed("timings")] == [PLACE]


@pytest.mark.parametrize("damage", [b"", b"x", b"kernels of somebody else, without a seal of ours"])
async def test_damage_is_as_good_as_nothing(store, damage):
    await keep_timings(store, PLACE, b"kernels")
    await store.write(PLACE, damage)

    assert await read_timings(store, PLACE) == b""
    await keep_timings(store, PLACE, b"kernels")
    assert await read_timings(store, PLACE) == b"kernels"


async def test_what_has_outgrown_its_bound_begins_anew(store, monkeypatch):
    monkeypatch.setattr(timing, "LARGEST", 10)
    await keep_timings(store, PLACE, b"kernels")

    await keep_timings(store, PLACE, b"kernels and more kernels")

    assert await read_timings(store, PLACE) == b""
    assert await store.read(PLACE) is None


async def test_a_store_that_cannot_be_used_costs_time_only(store, monkeypatch, caplog):
    async def refuse(self: Objects, path: str, *_: object) -> None:
        raise unavailable("file:///store", f"cannot use {path}", OSError("no room"))

    for call in ("read", "write"):
        monkeypatch.setattr(Objects, call, refuse)

    assert await read_timings(store, PLACE) == b""
    await keep_timings(store, PLACE, b"kernels")
    assert caplog.text.count("no room") == 2
    with pytest.raises(TransientError):
        await store.read(PLACE)


def test_slices_of_a_gpu_have_measurements_of_their_own():
    def place(mig: str | None) -> str | None:
        gpu = Gpu(name="NVIDIA A100", compute_capability="8.0", mig_profile=mig)
        engine = EngineSettings(backend="tensorrt", gpu=gpu)
        settings = BuildSettings(store="memory:///", export_key="ex1-0", engine=engine, threads=1)
        builder = SimpleNamespace(timings=b"", machine=SimpleNamespace(kind="nvidia-a100-sm80"))
        return Order(settings, None, builder, "10.14.1.48").timings

    assert place(None) == "timings/tensorrt-10.14.1.48/nvidia-a100-sm80"
    assert len({place(mig) for mig in (None, "1g.10gb", "2g.20gb")}) == 3
