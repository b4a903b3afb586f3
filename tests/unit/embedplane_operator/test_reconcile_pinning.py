"""What is pinned stays pinned: floating revisions, vector spaces, lost status, conformance floors."""

import json
from typing import Any

import pytest

from tests.support.world import ENGINE, HUB, SPACE_A, SPACE_B, World, fetched, name_of


def source_of(world: World) -> dict[str, Any]:
    source: dict[str, Any] = json.loads(world.environment(world.job("fetch"))["EMBEDPLANE_SOURCE"])
    return source["huggingFace"]


async def test_a_lost_status_is_read_back_from_the_deployment() -> None:
    world = World()
    await world.serve()
    before = world.status
    model = world.cluster.find("EmbeddingModel", "minilm")
    assert model is not None

    world.cluster.put({**model, "status": {}})
    await world.settle()

    for part in ("source", "vectorSpace", "engine", "servedGeneration"):
        assert world.status[part] == before[part]
    assert world.jobs() == []
    assert world.says("Ready") == ("True", "Serving")


async def test_a_status_that_cannot_be_read_counts_as_lost() -> None:
    world = World()
    await world.serve()
    model = world.cluster.find("EmbeddingModel", "minilm")
    assert model is not None

    world.cluster.put({**model, "status": {"source": "nonsense"}})
    await world.settle()

    assert world.status["source"]["commit"] == "c" * 40


@pytest.mark.parametrize(
    "change", [{"embedding": {"pooling": "cls"}}, {"source": {"huggingFace": {"repo": "acme/new"}}}]
)
async def test_another_vector_space_is_refused_and_the_old_one_serves_on(change: dict[str, Any]) -> None:
    world = World()
    await world.serve()
    before = world.status

    world.model(HUB | change)
    await world.settle()
    answer = fetched(SPACE_B, commit="b" * 40)
    world.finish("fetch", answer | {"vectorSpace": answer["vectorSpace"] | {"pooling": "cls"}})
    await world.settle()

    assert world.says("VectorSpaceStable") == ("False", "VectorSpaceChangeRefused")
    assert world.says("Ready") == ("False", "VectorSpaceChangeRefused")
    assert world.says("Stalled") == ("True", "VectorSpaceChangeRefused")
    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.condition("Reconciling") is None
    message = (world.condition("VectorSpaceStable") or {})["message"]
    assert SPACE_A in message
    assert SPACE_B in message
    assert "They differ in the pooling (mean before, cls now)" in message
    assert "set spec.vectorSpacePolicy to SideBySide" in message
    assert name_of(world.deployment()) == "minilm-aaaaaaaa"
    for part in ("source", "vectorSpace", "engine", "servedGeneration"):
        assert world.status[part] == before[part]
    assert world.jobs("export") == world.jobs("build") == []

    world.model(HUB)
    await world.settle()
    assert world.says("Ready") == ("True", "Serving")
    assert world.jobs() == []


async def test_while_a_change_of_space_is_refused_other_changes_still_reach_the_servers() -> None:
    world = World()
    await world.serve()
    world.model(HUB | {"embedding": {"pooling": "cls"}, "serving": {"drainDelaySeconds": 3}})
    await world.settle()
    world.finish("fetch", fetched(SPACE_B))

    await world.settle()

    assert world.environment(world.deployment())["EMBEDPLANE_DRAIN_DELAY_SECONDS"] == "3"


async def test_a_space_that_never_served_may_change() -> None:
    world = World()
    world.model()
    await world.settle()
    world.finish("fetch", fetched(engine=ENGINE))
    await world.settle()
    assert name_of(world.deployment()) == "minilm-aaaaaaaa"

    world.model(HUB | {"embedding": {"pooling": "cls"}})
    await world.settle()
    world.finish("fetch", fetched(SPACE_B, engine=ENGINE))
    await world.settle()

    assert name_of(world.deployment()) == "minilm-bbbbbbbb"
    assert world.status["vectorSpace"]["id"] == SPACE_B


async def test_a_space_is_stable_though_status_and_annotation_are_lost() -> None:
    world = World()
    await world.serve()
    deployment, model = world.deployment(), world.cluster.find("EmbeddingModel", "minilm")
    assert model is not None
    del deployment["metadata"]["annotations"]["embedplane.io/resolved"]
    world.cluster.put({**model, "status": {}})

    await world.settle()
    world.finish("fetch", fetched(SPACE_B))
    await world.settle()

    assert world.says("VectorSpaceStable") == ("False", "VectorSpaceChangeRefused")
    assert name_of(world.deployment()) == "minilm-aaaaaaaa"


async def test_a_floating_revision_is_resolved_once() -> None:
    world = World()
    await world.serve()

    world.model(HUB | {"embedding": {"maxSequenceLength": 128}})
    await world.settle()

    assert source_of(world)["revision"] == "c" * 40


async def test_the_resolve_annotation_moves_a_floating_revision() -> None:
    world = World()
    await world.serve()

    world.model(annotations={"embedplane.io/resolve": "2026-11-23"})
    await world.settle()
    assert source_of(world)["revision"] == "main"

    world.finish("fetch", fetched(commit="2" * 40, engine=ENGINE))
    await world.settle()
    assert world.status["source"]["commit"] == "2" * 40
    assert world.deployment()["metadata"]["annotations"]["embedplane.io/commit"] == "2" * 40
    assert world.says("Ready") == ("True", "Serving")
    assert world.jobs() == []


async def test_a_pinned_source_survives_a_lost_answer() -> None:
    world = World()
    world.model()
    await world.settle()
    world.finish("fetch", fetched())
    await world.settle()
    world.lose_pods()

    await world.settle()

    assert source_of(world)["revision"] == "c" * 40


async def test_a_floor_that_the_engine_meets_changes_the_servers_only() -> None:
    world = World()
    await world.serve()

    world.model(HUB | {"engine": {"conformance": {"minimumCosine": 0.9995}}})
    await world.settle()

    assert world.jobs() == []
    assert world.environment(world.deployment())["EMBEDPLANE_MINIMUM_COSINE"] == "0.9995"


async def test_a_floor_above_what_the_engine_proved_leaves_the_old_version_serving() -> None:
    world = World()
    await world.serve()

    world.model(HUB | {"engine": {"conformance": {"minimumCosine": 0.99999}}})
    await world.settle()

    assert world.says("EngineReady") == ("False", "ConformanceFailed")
    assert world.says("Stalled") == ("True", "ConformanceFailed")
    assert world.says("Available") == ("True", "ReplicasReady")
    assert "minimumCosine" in (world.condition("EngineReady") or {})["message"]
    assert world.environment(world.deployment())["EMBEDPLANE_MINIMUM_COSINE"] == "0.999"


async def test_an_upgrade_of_embedplane_rebuilds_nothing() -> None:
    world = World()
    await world.serve()
    images = {"server": "server:2", "exporter": "exporter:2", "gpuServer": "server-gpu:2"}

    world.restart(world.settings.model_validate({**world.settings.model_dump(by_alias=True), "images": images}))
    await world.settle()

    assert world.jobs() == []
    (container,) = world.deployment()["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "server:2"
    assert world.status["vectorSpace"]["id"] == SPACE_A


async def test_the_space_stays_though_the_status_is_lost_while_no_server_runs() -> None:
    world = World()
    await world.serve()
    world.make_ready(0)
    model = world.cluster.find("EmbeddingModel", "minilm") or {}
    world.cluster.put({**model, "status": {}})
    await world.settle()

    world.model(HUB | {"embedding": {"pooling": "cls"}})
    await world.settle()
    world.finish("fetch", fetched(SPACE_B))
    await world.settle()

    assert world.says("VectorSpaceStable") == ("False", "VectorSpaceChangeRefused")
    assert world.status["vectorSpace"]["id"] == SPACE_A
