"""spec.embedding.dimensions: another default is another vector space, and nothing of it is a Job's business."""

import json
from typing import Any

import pytest

from tests.support.world import ENGINE, HUB, SPACE_A, World, fetched

SPACE_128 = f"{SPACE_A};dimensions=128"


def of(**dimensions: Any) -> dict[str, Any]:
    return HUB | {"embedding": {"dimensions": dimensions}}


def served(world: World) -> dict[str, Any] | None:
    """The lengths that the servers were told."""
    policy = world.environment(world.deployment()).get("EMBEDPLANE_DIMENSIONS")
    return json.loads(policy) if policy else None


async def serving(**dimensions: Any) -> World:
    world = World()
    await world.serve(of(**dimensions))
    return world


async def change(world: World, **dimensions: Any) -> None:
    world.model(of(**dimensions))
    await world.settle()


async def test_a_default_is_part_of_the_served_space_s_name_and_of_what_selects_its_servers() -> None:
    world = await serving(default=128, allowed=[256, 64])

    space = world.status["vectorSpace"]
    deployment = world.deployment()
    assert (space["id"], space["dimensions"], space["nativeDimensions"]) == (SPACE_128, 128, 384)
    assert space["allowedDimensions"] == [64, 256]
    assert served(world) == {"default": 128, "allowed": [64, 256]}
    assert world.environment(deployment)["EMBEDPLANE_VECTOR_SPACE"] == SPACE_A
    label = f"{SPACE_A}.dimensions-128"
    assert deployment["metadata"]["name"] == "minilm-aaaaaaaa-d128"
    assert deployment["spec"]["selector"]["matchLabels"]["embedplane.io/vector-space"] == label
    service = world.cluster.find("Service", "minilm") or {}
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert deployment["metadata"]["annotations"]["embedplane.io/vector-space"] == SPACE_128
    assert world.says("Ready") == ("True", "Serving")
    assert "dimensions" not in world.environment(deployment).get("EMBEDPLANE_OVERRIDES", "")


@pytest.mark.parametrize("dimensions", [{}, {"default": 384}])
async def test_the_model_s_own_length_needs_no_other_name(dimensions: dict[str, Any]) -> None:
    world = await serving(**dimensions)

    assert world.status["vectorSpace"]["id"] == SPACE_A
    assert "nativeDimensions" not in world.status["vectorSpace"]
    assert served(world) is None
    assert world.deployment()["metadata"]["name"] == "minilm-aaaaaaaa"
    assert world.deployment()["metadata"]["labels"]["embedplane.io/vector-space"] == SPACE_A


@pytest.mark.parametrize(
    ("before", "after"), [({}, {"default": 128}), ({"default": 128}, {}), ({"default": 128}, {"default": 64})]
)
async def test_another_default_is_refused_and_the_old_version_serves_on_untouched(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    world = await serving(**before)
    space, template = world.status["vectorSpace"], world.deployment()["spec"]

    await change(world, **after, allowed=[32])

    assert world.says("VectorSpaceStable") == ("False", "VectorSpaceChangeRefused")
    assert world.says("Stalled") == ("True", "VectorSpaceChangeRefused")
    assert world.says("Available") == ("True", "ReplicasReady")
    message = (world.condition("VectorSpaceStable") or {})["message"]
    assert "spec.embedding.dimensions.default leads to the vector space" in message
    assert "spec.embedding.dimensions.allowed" in message
    assert world.status["vectorSpace"] == space
    assert world.deployment()["spec"] == template
    assert world.jobs() == []

    await change(world, **before)
    assert world.says("Ready") == ("True", "Serving")
    assert world.deployment()["spec"] == template


async def test_further_lengths_are_an_ordinary_rollout() -> None:
    world = await serving(default=128)

    await change(world, default=128, allowed=[64])

    assert served(world) == {"default": 128, "allowed": [64]}
    assert world.status["vectorSpace"]["allowedDimensions"] == [64]
    assert world.says("VectorSpaceStable") == ("True", "Unchanged")
    assert world.says("Ready") == ("False", "RolloutRunning")
    assert world.jobs() == []


@pytest.mark.parametrize(
    ("dimensions", "field"), [({"default": 1024}, "default"), ({"allowed": [64, 1024]}, "allowed")]
)
async def test_more_than_the_model_has_is_refused_once_that_is_known(dimensions: dict[str, Any], field: str) -> None:
    world = World()
    world.model(of(**dimensions))
    await world.settle()
    world.finish("fetch", fetched(engine=ENGINE))

    await world.settle()

    assert world.says("VectorSpaceStable") == ("False", "DimensionsUnavailable")
    assert world.says("Stalled") == ("True", "DimensionsUnavailable")
    assert f"spec.embedding.dimensions.{field} asks for 1024" in (world.condition("Ready") or {})["message"]
    assert "write 384 or less" in (world.condition("Ready") or {})["message"]
    assert world.cluster.all("Deployment") == []

    await change(world, default=384)
    world.make_ready()
    await world.settle()
    assert world.says("Ready") == ("True", "Serving")


async def test_a_model_that_classifies_has_no_lengths_to_choose_from() -> None:
    world = World()
    world.model(of(allowed=[1]))
    await world.settle()
    answer = fetched()
    world.finish("fetch", answer | {"vectorSpace": answer["vectorSpace"] | {"task": "classification", "dimensions": 3}})
    await world.settle()

    assert world.says("Ready") == ("False", "DimensionsUnavailable")
    assert "reranker or classifier" in (world.condition("Ready") or {})["message"]


async def test_lengths_that_are_refused_never_reach_the_servers_though_other_changes_do() -> None:
    world = await serving(allowed=[64])

    world.model(of(allowed=[64, 1024]) | {"serving": {"longInput": "Truncate"}})
    await world.settle()

    assert world.says("Ready") == ("False", "DimensionsUnavailable")
    assert served(world) == {"default": 384, "allowed": [64]}
    assert world.environment(world.deployment())["EMBEDPLANE_LONG_INPUT"] == "Truncate"


async def test_before_anything_was_served_the_default_may_change() -> None:
    world = World()
    world.model(of(default=128))
    await world.settle()
    world.finish("fetch", fetched(engine=ENGINE))
    await world.settle()

    await change(world, default=64)

    assert world.status["vectorSpace"]["id"] == f"{SPACE_A};dimensions=64"
    assert served(world) == {"default": 64, "allowed": []}


@pytest.mark.parametrize("lost", [[], ["resolved"], ["resolved", "vector-space"]])
async def test_a_served_default_stays_though_the_status_is_lost(lost: list[str]) -> None:
    world = await serving(default=128)
    deployment, model = world.deployment(), world.cluster.find("EmbeddingModel", "minilm")
    assert model is not None
    for annotation in lost:
        del deployment["metadata"]["annotations"][f"embedplane.io/{annotation}"]
    world.cluster.put({**model, "status": {}, "spec": HUB})

    await world.settle()
    if world.jobs():
        world.finish("fetch", fetched(engine=ENGINE))
        await world.settle()

    assert world.says("VectorSpaceStable") == ("False", "VectorSpaceChangeRefused")
    assert SPACE_128 in (world.condition("VectorSpaceStable") or {})["message"]
