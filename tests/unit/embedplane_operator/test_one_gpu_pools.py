"""A pool with a single GPU: servers that cannot become ready leave it to the build, those that answer keep it."""

from typing import Any

import pytest

from tests.support.pending import L4_TAKEN, ON_L4, say, server_pod, unscheduled
from tests.support.repairs import complain, failing, scale
from tests.support.world import ENGINE, World, fetched, name_of

L4_OLD_DRIVER = "nvidia-l4-sm89-r535"
NEXT = "f" * 64
FLOAT32 = ON_L4 | {"engine": {"precision": "float32"}}


async def to_the_build(world: World, spec: dict[str, Any] | None = None) -> None:
    """The next engine's export is in the store, and its build finds the GPU taken."""
    if spec:
        world.model(spec)
        await world.settle()
    world.advance(30)
    world.finish("fetch", fetched(exportKeys={"onnx": "x" * 64}))
    await world.settle()
    world.pod_of(world.job("build"), unscheduled(L4_TAKEN))
    await world.settle()


async def built(world: World, **engine: Any) -> None:
    world.advance(30)
    world.finish("build", ENGINE | engine)
    await world.settle()


async def repaired_in_vain() -> World:
    """Servers that still cannot load their engine though it was built for their machine."""
    world = await failing(L4_OLD_DRIVER, ON_L4)
    await to_the_build(world)
    await built(world, variant=L4_OLD_DRIVER)
    world.advance(300)
    complain(world, L4_OLD_DRIVER)
    await world.settle()
    assert world.says("Stalled") == ("True", "EngineIncompatible")
    assert await scale(world) == 1
    complain(world, L4_OLD_DRIVER)
    return world


async def test_servers_without_a_fitting_engine_leave_the_gpu_to_its_build_and_come_back() -> None:
    world = await failing(L4_OLD_DRIVER, ON_L4)
    await to_the_build(world)

    assert await scale(world) == 0
    world.restart()
    await world.settle()
    assert await scale(world) == 0
    resources = world.job("build")["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == "1"

    await built(world, variant=L4_OLD_DRIVER)
    assert await scale(world) == 1
    world.make_ready()
    await world.settle()
    assert world.says("Ready") == ("True", "Serving")


async def test_failing_servers_leave_the_gpu_to_the_build_of_a_changed_engine_and_come_back_with_it() -> None:
    world = await repaired_in_vain()

    await to_the_build(world, FLOAT32)
    assert await scale(world) == 0
    world.restart()
    await world.settle()
    assert await scale(world) == 0  # though no server complains any more

    await built(world, key=NEXT, precision="float32")
    assert await scale(world) == 1
    assert world.environment(world.deployment())["EMBEDPLANE_ENGINE_KEY"] == NEXT
    world.make_ready()
    await world.settle()
    assert world.says("Ready") == ("True", "Serving")
    assert "embedplane.io/makes-room" not in world.deployment()["metadata"]["annotations"]


async def test_failing_servers_come_back_when_the_change_is_taken_back() -> None:
    world = await repaired_in_vain()
    await to_the_build(world, FLOAT32)
    assert await scale(world) == 0

    world.model(ON_L4)
    await world.settle()

    assert await scale(world) == 1


async def test_failing_servers_stay_while_a_node_is_on_its_way() -> None:
    world = await repaired_in_vain()
    world.model(FLOAT32)
    await world.settle()
    world.advance(30)
    world.finish("fetch", fetched(exportKeys={"onnx": "x" * 64}))
    await world.settle()

    pod = world.pod_of(world.job("build"), unscheduled(L4_TAKEN))
    say(world, pod, "cluster-autoscaler", "TriggeredScaleUp", "pod triggered scale-up: [{l4-pool 1->2 (max: 2)}]")
    await world.settle()

    assert world.says("EngineReady") == ("False", "NodeProvisioning")
    assert await scale(world) == 1


async def test_servers_that_answer_keep_the_gpu_and_the_condition_says_what_to_do() -> None:
    world = World()
    await world.serve(ON_L4)
    deployment = name_of(world.deployment())

    await to_the_build(world, FLOAT32)

    assert await scale(world) == 1
    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.says("EngineReady") == ("False", "Unschedulable")
    message = (world.condition("Ready") or {})["message"]
    assert L4_TAKEN in message
    assert f"kubectl scale deployment {deployment} --replicas=0" in message


async def test_what_the_condition_advises_lets_the_build_run_and_the_servers_come_back() -> None:
    world = World()
    await world.serve(ON_L4)
    await to_the_build(world, FLOAT32)

    world.model(FLOAT32 | {"scaling": {"paused": True}})
    await world.settle()
    scaled_by_a_person = {"managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]}
    deployment = world.deployment()
    metadata, spec = {**deployment["metadata"], **scaled_by_a_person}, {**deployment["spec"], "replicas": 0}
    world.cluster.put({**deployment, "metadata": metadata, "spec": spec, "status": {"observedGeneration": 99}})
    await built(world, key=NEXT, precision="float32")
    assert world.says("EngineReady") == ("True", "Published")
    assert await scale(world) == 0

    world.model(FLOAT32)
    await world.settle()
    assert await scale(world) == 1
    world.make_ready()
    await world.settle()
    assert world.says("Ready") == ("True", "Serving")


async def test_a_new_server_that_waits_for_an_old_one_s_gpu_says_how_to_let_it_go() -> None:
    world = World()
    await world.serve(ON_L4)
    world.model(ON_L4 | {"serving": {"drainDelaySeconds": 1}})
    await world.settle()
    deployment = world.deployment()
    generation = deployment["metadata"]["generation"]
    status = {"observedGeneration": generation, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 1}
    world.cluster.put({**deployment, "status": status})

    server_pod(world, unscheduled(L4_TAKEN))
    await world.settle()

    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.says("Ready") == ("False", "Unschedulable")
    assert "{maxSurge: 0, maxUnavailable: 1}" in (world.condition("Ready") or {})["message"]


@pytest.mark.parametrize("scaling", [{"paused": True}, {"mode": "Disabled"}])
async def test_failing_servers_whose_replicas_are_a_person_s_are_named(scaling: dict[str, Any]) -> None:
    world = await failing(L4_OLD_DRIVER, ON_L4 | {"scaling": scaling})
    await to_the_build(world)

    assert world.says("EngineReady") == ("False", "Unschedulable")
    advice = f"run kubectl scale deployment {name_of(world.deployment())} --replicas=0"
    assert advice in (world.condition("EngineReady") or {})["message"]


async def test_a_build_that_waits_for_other_models_servers_says_nothing_of_its_own() -> None:
    world = World()
    world.model(ON_L4)
    await world.settle()

    await to_the_build(world)

    assert world.says("EngineReady") == ("False", "Unschedulable")
    assert "kubectl scale" not in (world.condition("EngineReady") or {})["message"]
