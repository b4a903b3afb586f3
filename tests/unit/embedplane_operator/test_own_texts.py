"""spec.engine.conformance.textsFrom: engines are proven with the user's own texts before they replace what serves."""

import json
from typing import Any

from embedplane_operator.kinds import Manifest
from embedplane_operator.render.inputs import digest_of_texts
from tests.support.troubles import fetching
from tests.support.world import ENGINE, HUB, World, fetched

TEXTS: dict[str, Any] = HUB | {"engine": {"conformance": {"textsFrom": {"configMapRef": {"name": "queries"}}}}}


def config_map(*lines: str) -> Manifest:
    data = {"queries.txt": "\n".join(lines)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "queries"}, "data": data}


def engine(key: str, own_texts: int) -> dict[str, Any]:
    return {**ENGINE, "key": key, "conformance": {**ENGINE["conformance"], "ownTexts": own_texts}}


async def proven(world: World, key: str, own_texts: int) -> None:
    """Fetch, export and build of what is wanted now end well."""
    world.finish("fetch", fetched())
    await world.settle()
    world.finish("export", {"exportKey": "x" * 64, "texts": 300})
    await world.settle()
    world.finish("build", engine(key, own_texts))
    await world.settle()
    world.make_ready()
    await world.settle()


async def serving() -> World:
    world = World()
    world.cluster.put(config_map("first", "second"))
    world.model(TEXTS)
    await world.settle()
    await proven(world, "engine-1", own_texts=2)
    return world


async def test_every_step_gets_the_digest_and_the_export_alone_the_texts() -> None:
    world = World()
    world.cluster.put(config_map("first", "second"))
    digest = digest_of_texts(config_map("first", "second"))
    world.model(TEXTS)
    await world.settle()
    assert json.loads(world.environment(world.job("fetch"))["EMBEDPLANE_ENGINE"])["texts"] == digest
    world.finish("fetch", fetched())
    await world.settle()
    export = world.job("export")
    assert world.environment(export)["EMBEDPLANE_TEXTS"] == digest
    volumes = export["spec"]["template"]["spec"]["volumes"]
    assert {"name": "texts", "configMap": {"name": "queries"}} in volumes
    (container,) = export["spec"]["template"]["spec"]["containers"]
    assert {"name": "texts", "mountPath": "/texts", "readOnly": True} in container["volumeMounts"]
    world.finish("export", {"exportKey": "x" * 64, "texts": 300})
    await world.settle()
    build = world.job("build")
    assert json.loads(world.environment(build)["EMBEDPLANE_ENGINE"])["texts"] == digest
    for job in (world.job("fetch"), build):
        assert "queries" not in json.dumps(job)
    assert "first" not in json.dumps(world.cluster.all("Job"))


async def test_their_number_is_in_the_status_and_the_config_map_is_looked_at_again() -> None:
    world = await serving()
    assert world.says("Ready") == ("True", "Serving")
    assert world.status["engine"]["conformance"]["ownTexts"] == 2
    again = await world.settle()
    assert again is not None
    assert again <= 30


async def test_other_texts_are_proven_while_the_old_engine_serves() -> None:
    world = await serving()
    world.cluster.put(config_map("first", "second", "third"))
    await world.settle()
    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.status["engine"]["key"] == "engine-1"
    await proven(world, "engine-2", own_texts=3)
    assert world.says("Ready") == ("True", "Serving")
    assert world.status["engine"]["key"] == "engine-2"
    assert world.status["engine"]["conformance"]["ownTexts"] == 3


async def test_texts_that_an_engine_fails_leave_the_old_one_serving() -> None:
    world = await serving()
    before = world.deployment()["spec"]
    world.cluster.put(config_map("something else"))
    await world.settle()
    world.finish("fetch", fetched())
    await world.settle()
    world.finish("export", {"exportKey": "x" * 64, "texts": 300})
    await world.settle()
    world.fail("build", "ConformanceFailed", "Worst: queries.txt line 1")
    await world.settle()
    assert world.says("EngineReady") == ("False", "ConformanceFailed")
    assert "queries.txt line 1" in (world.condition("EngineReady") or {})["message"]
    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.deployment()["spec"] == before

    world.cluster.put(config_map("first", "second"))
    await world.settle()
    assert world.says("Ready") == ("True", "Serving")
    assert world.jobs() == []


async def test_a_missing_config_map_is_named_and_nothing_is_built_without_it() -> None:
    world = await fetching(TEXTS)
    world.finish("fetch", fetched())
    again = await world.settle()
    assert world.says("EngineReady") == world.says("Ready") == ("False", "ConfigMapNotFound")
    message = (world.condition("EngineReady") or {})["message"]
    assert "ConfigMap queries does not exist in namespace search" in message
    assert "spec.engine.conformance.textsFrom" in message
    assert world.jobs("export") == []
    assert again is not None
    assert again <= 30

    world.cluster.put(config_map("first", "second"))
    await world.settle()
    await proven(world, "engine-1", own_texts=2)
    assert world.says("Ready") == ("True", "Serving")


async def test_a_config_map_that_is_asked_for_later_or_deleted_leaves_the_servers_as_they_are() -> None:
    world = World()
    await world.serve()
    before = world.deployment()["spec"]
    world.model(TEXTS)
    await world.settle()
    assert world.says("EngineReady") == ("False", "ConfigMapNotFound")
    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.deployment()["spec"] == before
    assert world.jobs() == []
