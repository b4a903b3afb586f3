"""Several accelerator profiles: one without room is given up for the next, which gets an engine of its own."""

import json
from typing import Any

import pytest

from tests.support.pools import (
    A10G,
    MINUTES,
    SPOT,
    WORDS,
    building,
    built,
    events,
    exported,
    fallen_back,
    lacks_node,
    no_node,
    nodes_of,
    on,
    passing,
    profile_in_use,
    server,
    waiting_for_a_build,
)
from tests.support.spaces import lose_status
from tests.support.world import ENGINE, World, fetched, name_of

L4_THEN_A10G = on("l4", "a10g")


async def test_the_first_profile_is_in_use_at_first_and_status_says_so() -> None:
    world = await building(L4_THEN_A10G)

    assert nodes_of(world.job("build")) == {"nvidia.com/gpu.product": "NVIDIA-L4"}
    assert world.status["accelerator"] == {
        "inputs": world.status["accelerator"]["inputs"],
        "profile": "l4",
        "since": "2026-11-23T12:00:00Z",
        "reason": "the first that spec.accelerator names",
    }


async def test_a_build_that_finds_no_node_for_long_goes_to_the_next_pool_with_an_engine_of_its_own() -> None:
    world = await waiting_for_a_build(L4_THEN_A10G, minutes=14.9)
    assert profile_in_use(world) == "l4"
    message = (world.condition("EngineReady") or {})["message"]
    assert message.startswith(WORDS)
    assert message.endswith("; a10g is tried if l4 has no room until 2026-11-23 12:15:00 UTC")

    await passing(world, 0.1)
    assert profile_in_use(world) == "a10g"
    await exported(world)

    build = world.job("build")
    assert nodes_of(build) == A10G["nodeSelector"]
    assert json.loads(world.environment(build)["EMBEDPLANE_ENGINE"])["gpu"]["name"] == "NVIDIA A10G"
    assert world.status["accelerator"]["since"] == "2026-11-23T12:15:00Z"
    reason = world.status["accelerator"]["reason"]
    assert reason.startswith(f"l4 had no room for 15m: {WORDS}")
    assert events(world, "AcceleratorChosen") == [f"a10g is in use from now on: {reason}"]


async def test_what_was_pinned_stays_pinned_on_the_next_profile() -> None:
    world = await fallen_back(L4_THEN_A10G)
    await built(world)
    world.make_ready()
    await world.settle()

    assert world.says("Ready") == ("True", "Serving")
    assert world.status["source"]["commit"] == "c" * 40
    assert world.status["engine"]["key"] == "g" * 64
    assert nodes_of(world.deployment()) == A10G["nodeSelector"]
    assert world.jobs() == []


async def test_how_long_a_pool_is_waited_for_can_be_set() -> None:
    world = await waiting_for_a_build(on("l4", "a10g", fallbackAfter="90s"), minutes=1.5)

    assert profile_in_use(world) == "a10g"


async def test_servers_that_find_no_node_for_long_bring_the_next_pool_too() -> None:
    world = await building(on("l4", "a10g", "t4"))
    await built(world)
    server(world, status=no_node(world))
    await passing(world, 14.9)
    assert profile_in_use(world) == "l4"
    assert "a10g is tried if l4 has no room" in (world.condition("Available") or {})["message"]

    await passing(world, 0.1)
    assert profile_in_use(world) == "a10g"
    await exported(world)
    await built(world)

    assert nodes_of(world.deployment()) == A10G["nodeSelector"]
    await passing(world, 60)  # the old server still waits, which says nothing about the new pool
    assert profile_in_use(world) == "a10g"


async def test_pools_of_the_same_gpu_share_the_engine() -> None:
    world = await building(on("l4-spot", "l4"))
    await built(world)
    server(world, status=no_node(world))
    await passing(world, 15)

    assert profile_in_use(world) == "l4"
    assert world.jobs() == []
    assert "example.com/capacity" not in nodes_of(world.deployment())


async def test_a_build_is_moved_between_pools_of_the_same_gpu() -> None:
    world = await waiting_for_a_build(on("l4-spot", "l4"))
    assert nodes_of(world.job("build")) == SPOT["nodeSelector"]

    await passing(world, 15)
    await exported(world)

    assert "example.com/capacity" not in nodes_of(world.job("build"))


async def test_the_last_profile_stays_and_says_so() -> None:
    world = await fallen_back(L4_THEN_A10G)
    lacks_node(world)

    await passing(world, 600)

    assert profile_in_use(world) == "a10g"
    assert world.says("EngineReady") == ("False", "Unschedulable")
    message = (world.condition("EngineReady") or {})["message"]
    assert "a10g is the last of spec.accelerator.profiles (l4, a10g) and stays: make room, or add one" in message


async def test_every_profile_gets_its_time() -> None:
    world = await fallen_back(on("l4", "a10g", "t4"))
    lacks_node(world)
    await passing(world, 14.9)
    assert profile_in_use(world) == "a10g"

    await passing(world, 0.1)
    await exported(world)

    assert profile_in_use(world) == "t4"
    assert len(events(world, "AcceleratorChosen")) == 2


@pytest.mark.parametrize("is_built", [False, True])
async def test_the_choice_outlives_the_operator_and_the_status(*, is_built: bool) -> None:
    world = await fallen_back(L4_THEN_A10G)
    if is_built:
        await built(world)
    chosen = world.status["accelerator"]

    world.advance(MINUTES)
    lose_status(world)
    world.restart()
    await world.settle()

    assert world.status["accelerator"] == chosen


async def beside(world: World, spec: dict[str, Any]) -> World:
    """Another model that needs the same engine, and waits for the same build."""
    other = World(world.settings, world.cluster, world.now, name="twin")
    other.model(spec)
    await other.settle()
    (fetch,) = [job for job in other.jobs("fetch") if name_of(job).startswith("twin-")]
    other.end(fetch, {"result": fetched(exportKeys={"onnx": "x" * 64})})
    await other.settle()
    return other


async def test_a_model_that_joins_a_build_which_waits_gives_the_pool_its_time_too() -> None:
    world = await waiting_for_a_build(on("l4"), minutes=60)
    other = await beside(world, L4_THEN_A10G)
    assert profile_in_use(other) == "l4"

    await passing(other, 15)

    assert profile_in_use(other) == "a10g"
    assert profile_in_use(world) == "l4"


async def test_two_models_that_share_a_build_move_it_without_a_quarrel() -> None:
    world = await waiting_for_a_build(on("l4-spot", "l4"))
    other = await beside(world, on("l4-spot"))

    await passing(world, 15)
    other.now = world.now
    await other.settle()
    await world.settle()

    assert profile_in_use(world) == "l4"
    assert profile_in_use(other) == "l4-spot"
    assert len(world.jobs("build")) == 1


async def test_an_engine_of_the_next_profile_that_the_store_has_is_not_built_again() -> None:
    world = await waiting_for_a_build(L4_THEN_A10G, 15)

    world.finish("fetch", fetched(engine=ENGINE | {"backend": "tensorrt"}))
    await world.settle()

    assert world.jobs("build") == []
    assert nodes_of(world.deployment()) == A10G["nodeSelector"]
