"""A repair of an engine that something else comes across: nobody waits at 0 replicas for what nobody does."""

from typing import Any

import pytest

from tests.support.repairs import OLD_CPU, failing, rebuild, scale
from tests.support.world import HUB, SPACE_B, World, fetched

REFUSED_CHANGE = HUB | {"embedding": {"pooling": "cls"}}


async def making_room(spec: dict[str, Any] | None = None) -> World:
    """A model whose servers are gone, so that its engine can be built for their machines."""
    world = await failing(OLD_CPU, spec)
    assert await scale(world) == 0
    await world.settle()
    return world


async def test_servers_come_back_when_a_change_is_refused_for_which_nothing_is_built() -> None:
    world = await making_room()

    world.model(REFUSED_CHANGE)
    await world.settle()
    world.advance(30)
    world.finish("fetch", fetched(SPACE_B))
    await world.settle()

    assert world.says("Stalled") == ("True", "VectorSpaceChangeRefused")
    assert await scale(world) == 1

    world.model(HUB)
    await world.settle()
    assert await scale(world) == 0
    await rebuild(world)
    assert await scale(world) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"accelerator": {"profile": "abacus"}}, "UnknownAccelerator"),
        ({"engine": {"conformance": {"minimumCosine": 0.99999}}}, "ConformanceFailed"),
        ({"serving": {"apiKeysSecretRef": {"name": "missing"}}}, "SecretNotFound"),
    ],
)
async def test_servers_come_back_when_a_change_stands_in_the_way(change: dict[str, Any], reason: str) -> None:
    world = await making_room()

    world.model(HUB | change)
    await world.settle()

    assert world.says("Stalled") == ("True", reason)
    assert await scale(world) == 1


async def test_servers_come_back_between_the_tries_of_a_build_that_fails_for_good() -> None:
    world = await making_room()
    world.advance(30)
    world.finish("fetch", fetched(exportKeys={"openvino": "x" * 64}))
    await world.settle()
    world.fail("build", "ConformanceFailed", "lowest cosine 0.98")
    await world.settle()
    assert world.says("Stalled") == ("True", "EngineIncompatible")
    assert await scale(world) == 1

    world.advance(3601)
    await world.settle()

    assert world.says("EngineReady") == ("False", "BuildRunning")
    assert await scale(world) == 0


@pytest.mark.parametrize("scaling", [{"paused": True}, {"mode": "Disabled"}])
async def test_replicas_that_made_room_come_back_though_they_are_nobody_s_to_change_by_then(
    scaling: dict[str, Any],
) -> None:
    world = await making_room()
    world.model(HUB | {"scaling": scaling})
    await world.settle()
    assert await scale(world) == 0

    await rebuild(world)

    assert await scale(world) == 1
