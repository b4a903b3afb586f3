"""Servers that find no engine to load: it is built once where they run, and room is made for that first."""

from typing import Any

import pytest

from tests.support.repairs import IN_STORE, OLD_CPU, OTHER_CPU, complain, failing, rebuild, scale
from tests.support.world import ENGINE, HUB, World, fetched, name_of


async def test_an_engine_that_is_gone_from_the_store_is_made_again_from_the_fetch_on() -> None:
    world = await failing()
    assert world.says("SourceResolved") == ("False", "FetchRunning")
    assert world.says("Available") == ("False", "EngineMissing")

    world.advance(30)
    world.finish("fetch", fetched())  # the whole store is gone
    await world.settle()
    assert world.says("EngineReady") == ("False", "ExportRunning")
    world.advance(30)
    world.finish("export", {"exportKey": "x" * 64, "texts": 64})
    await world.settle()
    assert world.says("EngineReady") == ("False", "BuildRunning")
    world.advance(30)
    world.finish("build", ENGINE | {"builtAt": "2026-11-24T10:00:00Z"})
    await world.settle()
    assert world.says("EngineReady") == ("True", "Published")
    assert world.status["engine"]["builtAt"] == "2026-11-24T10:00:00Z"
    assert world.jobs() == []

    world.make_ready()
    world.lose_pods()
    await world.settle()
    assert world.says("Ready") == ("True", "Serving")


async def test_an_engine_that_fits_other_machines_is_built_where_its_servers_run() -> None:
    world = await failing(OLD_CPU)

    world.advance(30)
    world.finish("fetch", fetched(**IN_STORE))
    await world.settle()

    assert world.says("EngineReady") == ("False", "BuildRunning")
    affinity = world.job("build")["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    (preferred,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred["preference"]["matchFields"][0]["values"] == ["node-1"]


async def test_servers_that_cannot_load_their_engine_make_room_and_come_back() -> None:
    world = await failing(OLD_CPU)

    assert await scale(world) == 0
    world.restart()
    await world.settle()
    assert world.says("Available") == ("False", "EngineIncompatible")
    assert await scale(world) == 0

    await rebuild(world, variant=OLD_CPU)
    assert await scale(world) == 1
    template = world.deployment()["spec"]["template"]
    world.make_ready()
    await world.settle()
    assert world.says("Ready") == ("True", "Serving")
    assert world.deployment()["spec"]["template"] == template  # no rollout came of it


async def test_servers_stay_while_one_of_them_takes_requests() -> None:
    world = World()
    await world.serve(HUB | {"scaling": {"minReplicas": 2, "maxReplicas": 2}})
    world.make_ready(1)
    deployment = world.deployment()
    world.cluster.put({**deployment, "spec": {**deployment["spec"], "replicas": 2}})

    complain(world, OLD_CPU)
    await world.settle()

    assert world.jobs("fetch")
    assert await scale(world) == 2


@pytest.mark.parametrize("scaling", [{"paused": True}, {"mode": "Disabled"}])
async def test_replicas_that_are_somebody_else_s_stay(scaling: dict[str, Any]) -> None:
    world = await failing(OLD_CPU, HUB | {"scaling": scaling})
    owned = [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    world.deployment()["metadata"]["managedFields"] = owned

    assert await scale(world) == 1


async def test_an_engine_is_built_once_for_a_kind_of_machine() -> None:
    world = await failing(OLD_CPU)
    await rebuild(world)

    await world.settle()
    assert world.says("Ready") == ("False", "Pending")  # the server that ended before has not been started anew
    world.advance(300)
    complain(world, OLD_CPU)
    for _ in range(3):
        await world.settle()
        world.restart()

    assert world.jobs() == []
    assert world.says("Ready") == ("False", "EngineIncompatible")
    assert world.says("Stalled") == ("True", "EngineIncompatible")
    told = (world.condition("Ready") or {})["message"]
    for words in ("did not help", "one GPU with one driver", "on CPUs set spec.engine.precision"):
        assert words in told
    assert await scale(world) == 1

    complain(world, OTHER_CPU)
    await world.settle()
    assert world.jobs("fetch")


async def test_a_build_that_fails_for_good_is_why_nothing_fits() -> None:
    world = await failing(OLD_CPU)
    world.advance(30)
    world.finish("fetch", fetched(**IN_STORE))
    await world.settle()

    world.fail("build", "ConformanceFailed", "lowest cosine 0.98")
    await world.settle()

    assert world.says("EngineReady") == ("False", "EngineIncompatible")
    assert world.says("Stalled") == ("True", "EngineIncompatible")
    assert "ConformanceFailed" in (world.condition("EngineReady") or {})["message"]


async def test_an_engine_that_gets_lost_a_second_time_is_built_a_second_time() -> None:
    world = await failing()
    await rebuild(world)
    world.lose_pods()
    world.make_ready()
    await world.settle()
    assert world.jobs() == []

    world.make_ready(0)
    world.advance(3600)
    complain(world)
    world.restart()
    await world.settle()

    assert world.jobs("fetch")


async def test_a_store_that_comes_back_by_itself_needs_no_build() -> None:
    world = await failing()
    assert world.jobs("fetch")

    world.lose_pods()
    world.make_ready()
    await world.settle()

    assert world.says("Ready") == ("True", "Serving")
    assert world.jobs() == []


async def test_servers_of_an_earlier_engine_say_nothing_about_the_present_one() -> None:
    world = World()
    await world.serve()

    complain(world, OLD_CPU, key="of-another-engine")
    await world.settle()

    assert world.jobs() == []


async def test_a_change_of_the_engine_ends_the_repair() -> None:
    world = await failing(OLD_CPU)
    world.model(HUB | {"engine": {"precision": "float32"}})
    await world.settle()
    world.advance(30)
    world.finish("fetch", fetched(engine=ENGINE | {"key": "f" * 64, "precision": "float32"}))

    await world.settle()

    assert name_of(world.deployment()) == "minilm-aaaaaaaa"
    assert world.environment(world.deployment())["EMBEDPLANE_ENGINE_KEY"] == "f" * 64
    assert await scale(world) == 1


async def test_an_older_server_that_does_not_say_what_it_lacks_is_helped_too() -> None:
    world = World()
    await world.serve()

    world.server_pod({"lastState": {"terminated": {"exitCode": 66, "message": "needs avx512"}}})
    await world.settle()

    assert world.says("SourceResolved") == ("False", "FetchRunning")


async def test_models_on_two_kinds_of_machine_have_a_build_each() -> None:
    first = await failing(OLD_CPU)
    second = World(cluster=first.cluster, name="other", now=first.now)
    second.model(HUB)
    await second.settle()
    second.advance(30)
    fetch = next(job for job in second.jobs("fetch") if name_of(job).startswith("other-"))
    second.end(fetch, {"result": fetched(exportKeys={"openvino": "x" * 64})})
    first.advance(30)
    fetch = next(job for job in first.jobs("fetch") if name_of(job).startswith("minilm-"))
    first.end(fetch, {"result": fetched(exportKeys={"openvino": "x" * 64})})

    await second.settle()
    await first.settle()

    builds = first.jobs("build")
    assert [len(job["metadata"]["ownerReferences"]) for job in builds] == [1, 1]
