"""Several accelerator profiles: what moves nothing, since only the want of room counts while nothing serves."""

from typing import Any

import pytest

from tests.support.pools import (
    building,
    built,
    exported,
    lacks_node,
    no_node,
    nodes_of,
    on,
    passing,
    profile_in_use,
    server,
    serving,
)
from tests.support.world import name_of

L4_THEN_A10G = on("l4", "a10g")


async def test_a_pool_that_took_one_server_has_room() -> None:
    world = await building(L4_THEN_A10G)
    await built(world)
    server(world, "first")
    server(world, "second", no_node(world))

    await passing(world, 60)

    assert profile_in_use(world) == "l4"


async def test_a_scale_up_that_finds_no_room_moves_nothing() -> None:
    world = await serving(L4_THEN_A10G)
    before = nodes_of(world.deployment())
    server(world, "another", no_node(world))

    await passing(world, 60)

    assert profile_in_use(world) == "l4"
    assert nodes_of(world.deployment()) == before
    assert world.jobs() == []


async def test_a_build_without_room_beside_what_serves_moves_nothing() -> None:
    world = await serving(L4_THEN_A10G)
    world.model(L4_THEN_A10G | {"engine": {"precision": "float32"}})
    await world.settle()
    await exported(world)
    lacks_node(world)

    await passing(world, 60)

    assert profile_in_use(world) == "l4"
    assert world.says("EngineReady") == ("False", "Unschedulable")
    assert world.says("Available") == ("True", "ReplicasReady")


async def test_a_lost_node_is_waited_for_as_long_as_any() -> None:
    world = await serving(L4_THEN_A10G)
    server(world, "another", no_node(world))
    await passing(world, 60)
    world.make_ready(0)
    server(world, status=no_node(world))  # in the place of the one whose node is gone

    await passing(world, 14.9)
    assert profile_in_use(world) == "l4"
    await passing(world, 0.1)

    assert profile_in_use(world) == "a10g"


@pytest.mark.parametrize(
    ("status", "what"),
    [
        ({"conditions": [{"type": "PodScheduled", "status": "True"}]}, "an image that is pulled for long"),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]},
            "a pod that is held back from the scheduler",
        ),
        ({}, "a pod that the scheduler has not looked at"),
    ],
)
async def test_only_the_want_of_room_counts(status: dict[str, Any], what: str) -> None:
    world = await building(L4_THEN_A10G)
    world.pod_of(world.job("build"), {"phase": "Pending", **status})

    await passing(world, 60)

    assert profile_in_use(world) == "l4", what


async def test_a_claim_that_is_not_bound_is_no_want_of_room() -> None:
    world = await building(L4_THEN_A10G)
    claim = world.cluster.find("PersistentVolumeClaim", "embedplane-store") or {}
    world.cluster.put({**claim, "status": {"phase": "Pending"}})
    regarding = {"uid": claim["metadata"]["uid"], "name": name_of(claim)}
    event = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "type": "Warning", "note": "no such class"}
    world.cluster.put({**event, "metadata": {"name": "claim", "namespace": "search"}, "regarding": regarding})
    lacks_node(world)

    await passing(world, 60)

    assert profile_in_use(world) == "l4"


async def test_a_failed_build_stays_where_it_is() -> None:
    world = await building(L4_THEN_A10G)
    world.fail("build", "ConformanceFailed", "lowest cosine 0.98")

    await passing(world, 600)

    assert profile_in_use(world) == "l4"
