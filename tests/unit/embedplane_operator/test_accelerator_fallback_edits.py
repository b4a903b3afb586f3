"""Several accelerator profiles: what an edit of the list changes, and what it leaves in use."""

from typing import Any

import pytest

from tests.support.pools import (
    A10G,
    MINUTES,
    built,
    exported,
    fallen_back,
    lacks_node,
    nodes_of,
    on,
    passing,
    pools,
    profile_in_use,
    serving,
)
from tests.support.world import HUB, World

L4_THEN_A10G = on("l4", "a10g")


async def test_a_fallback_that_is_added_changes_nothing_that_runs() -> None:
    world = await serving(HUB | {"accelerator": {"profile": "l4"}})
    before = world.deployment()["metadata"]["resourceVersion"]
    chosen = world.status["accelerator"]
    world.advance(MINUTES)

    for profiles in (("l4",), ("l4", "a10g"), ("l4", "t4", "a10g")):
        world.model(on(*profiles))
        await world.settle()

    assert world.deployment()["metadata"]["resourceVersion"] == before
    assert world.status["accelerator"] == chosen
    assert world.jobs() == []


async def test_a_fallback_that_is_added_while_another_is_in_use_leaves_that_in_use() -> None:
    world = await fallen_back(L4_THEN_A10G)
    chosen = world.status["accelerator"]

    world.model(on("l4", "a10g", "t4"))
    await world.settle()

    assert world.status["accelerator"] == chosen


async def test_a_profile_that_is_added_behind_the_last_one_is_tried() -> None:
    world = await fallen_back(L4_THEN_A10G)
    lacks_node(world)
    await passing(world, 600)

    world.model(on("l4", "a10g", "t4"))
    await world.settle()
    lacks_node(world)  # the edit made the build start anew
    await passing(world, 15)

    assert profile_in_use(world) == "t4"


@pytest.mark.parametrize("accelerator", [{"profile": "l4"}, {"profiles": ["l4", "a10g"], "count": 2}])
async def test_an_edit_of_what_was_tried_starts_anew(accelerator: dict[str, Any]) -> None:
    world = await fallen_back(L4_THEN_A10G)
    await built(world)
    world.make_ready()
    await world.settle()

    world.model(HUB | {"accelerator": accelerator})
    await world.settle()
    await exported(world)

    assert profile_in_use(world) == "l4"
    assert nodes_of(world.job("build")) == {"nvidia.com/gpu.product": "NVIDIA-L4"}
    assert nodes_of(world.deployment()) == A10G["nodeSelector"]  # it serves until the other engine is there
    assert world.says("Available") == ("True", "ReplicasReady")


async def test_without_an_accelerator_nothing_of_one_is_said() -> None:
    world = await fallen_back(L4_THEN_A10G)

    world.model(HUB)
    await world.settle()

    assert "accelerator" not in world.status


async def test_a_model_that_is_suspended_keeps_its_profile() -> None:
    world = await fallen_back(L4_THEN_A10G)
    chosen = world.status["accelerator"]

    world.model(on("t4") | {"suspend": True})
    await world.settle()

    assert world.status["accelerator"] == chosen


async def test_a_list_with_an_unknown_profile_is_refused() -> None:
    world = World(pools())
    world.model(on("l4", "abacus"))
    await world.settle()

    assert world.says("Stalled") == ("True", "UnknownAccelerator")
    assert "abacus is not a profile of this installation" in (world.condition("Ready") or {})["message"]
    assert world.jobs() == []
