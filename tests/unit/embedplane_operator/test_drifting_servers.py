"""Servers whose vectors drifted: the condition VectorDrift, until one that was checked well serves again."""

import json
from typing import Any

from embedplane_operator.kinds import Manifest
from tests.support.world import HUB, World, name_of

SAID = "a golden text of 19 tokens has a cosine of 0.200000 to its reference, twice, below the floor 0.999"


def drifted(world: World, exit_code: int = 65, **container: Any) -> None:
    """The server ended because its vectors drifted, and its container was started anew."""
    said = json.dumps({"error": {"reason": "VectorDrift", "message": SAID}})
    ended = {"exitCode": exit_code, "message": said, "finishedAt": world.now.isoformat()}
    world.server_pod({"restartCount": 1, "lastState": {"terminated": ended}, **container})


def warnings(world: World) -> list[Manifest]:
    return [each for each in world.cluster.all("Event") if (each["type"], each["reason"]) == ("Warning", "VectorDrift")]


async def test_a_server_that_drifted_is_named_with_its_node_and_how_far_it_was_off() -> None:
    world = World()
    await world.serve()
    assert world.condition("VectorDrift") is None

    world.make_ready(0)
    drifted(world)
    await world.settle()

    assert world.says("VectorDrift") == ("True", "VectorDrift")
    message = (world.condition("VectorDrift") or {})["message"]
    assert message == f"pod {name_of(world.deployment())}-pod on node node-1: {SAID}"
    assert world.says("Ready") == ("False", "VectorDrift")
    assert world.says("Available") == ("False", "VectorDrift")
    assert world.says("Reconciling") == ("True", "VectorDrift")
    assert message in [each["note"] for each in warnings(world)]
    assert world.jobs() == []  # its engine is whole, so none is built


async def test_the_condition_goes_when_the_container_was_checked_well_and_serves() -> None:
    world = World()
    await world.serve()
    world.make_ready(0)
    drifted(world)
    await world.settle()

    drifted(world, ready=True)
    world.make_ready()
    await world.settle()

    assert world.condition("VectorDrift") is None
    assert world.says("Ready") == ("True", "Serving")


async def test_the_condition_stays_while_the_pod_is_replaced_and_none_serves() -> None:
    world = World()
    await world.serve()
    world.make_ready(0)
    drifted(world)
    await world.settle()
    before = world.condition("VectorDrift")

    world.lose_pods()
    world.restart()
    await world.settle()
    assert world.condition("VectorDrift") == before

    world.model(HUB | {"suspend": True})
    await world.settle()
    assert world.says("VectorDrift") == ("True", "VectorDrift")

    world.model(HUB)
    world.make_ready()
    await world.settle()
    assert world.condition("VectorDrift") is None


async def test_one_of_several_servers_that_drifted_leaves_the_model_available() -> None:
    world = World()
    await world.serve(HUB | {"scaling": {"minReplicas": 1, "maxReplicas": 2}})
    drifted(world)
    await world.settle()

    assert world.says("VectorDrift") == ("True", "VectorDrift")
    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.says("Ready") == ("True", "Serving")
    assert len(warnings(world)) == 1


async def test_a_server_that_fails_its_check_at_start_needs_a_person() -> None:
    world = World()
    await world.serve()
    world.make_ready(0)
    drifted(world, exit_code=64)
    await world.settle()

    assert world.says("VectorDrift") == ("True", "VectorDrift")
    assert world.says("Stalled") == ("True", "VectorDrift")
