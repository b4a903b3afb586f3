"""What a model's files leave unsaid is a condition and one Event, holds nothing up, and goes when the field is set."""

from typing import Any

import pytest

from tests.support.world import ENGINE, HUB, SPACE_A, World, fetched


def answer(*unsaid: str) -> dict[str, Any]:
    """A fetch's answer with an engine in the store, so that the model is served at once."""
    found = fetched(engine=ENGINE)
    return {**found, "vectorSpace": {**found["vectorSpace"], **({"unsaid": list(unsaid)} if unsaid else {})}}


async def serving(*unsaid: str) -> World:
    world = World()
    world.model()
    await world.settle()
    world.finish("fetch", answer(*unsaid))
    await world.settle()
    world.make_ready()
    await world.settle()
    return world


def events(world: World) -> list[tuple[str, str]]:
    found = [(event["type"], event["reason"]) for event in world.cluster.all("Event")]
    return [each for each in found if each[1].endswith(("Unsaid", "Contradicted"))]


async def test_it_is_a_condition_and_an_event_and_the_model_is_ready() -> None:
    world = await serving("PoolingUnsaid", "PromptsUnsaid")

    assert world.says("Ready") == ("True", "Serving")
    assert world.says("Stalled") is None
    condition = world.condition("DescriptionIncomplete")
    assert condition is not None
    assert (condition["status"], condition["reason"]) == ("True", "PoolingUnsaid")
    assert "spec.embedding.pooling" in condition["message"]
    assert "spec.embedding.prompts" in condition["message"]
    assert world.status["vectorSpace"]["unsaid"] == ["PoolingUnsaid", "PromptsUnsaid"]
    assert events(world) == [("Warning", "PoolingUnsaid")]


async def test_a_model_that_says_everything_has_no_such_condition() -> None:
    world = await serving()

    assert world.condition("DescriptionIncomplete") is None
    assert "unsaid" not in world.status["vectorSpace"]
    assert events(world) == []


async def test_it_stays_over_restarts_of_the_operator_and_is_told_once() -> None:
    world = await serving("WindowContradicted")
    world.restart()
    await world.settle()

    assert world.says("DescriptionIncomplete") == ("True", "WindowContradicted")
    assert events(world) == [("Warning", "WindowContradicted")]


async def test_it_stays_when_the_model_is_suspended() -> None:
    world = await serving("WindowContradicted")
    world.model(HUB | {"suspend": True})
    await world.settle()

    assert world.says("DescriptionIncomplete") == ("True", "WindowContradicted")
    assert events(world) == [("Warning", "WindowContradicted")]


async def test_setting_the_field_ends_it_without_another_engine_or_space() -> None:
    world = await serving("PoolingUnsaid")
    served = world.deployment()["spec"]
    world.model(HUB | {"embedding": {"pooling": "mean"}})
    await world.settle()
    world.finish("fetch", answer())
    await world.settle()

    assert world.condition("DescriptionIncomplete") is None
    assert world.status["vectorSpace"]["id"] == SPACE_A
    assert world.deployment()["spec"] == served
    assert world.jobs("build") == []


@pytest.mark.parametrize("name", ["HeadsUnsaid"])
async def test_a_name_of_a_newer_server_is_told_as_it_is(name: str) -> None:
    condition = (await serving(name)).condition("DescriptionIncomplete")
    assert condition is not None
    assert (condition["reason"], name in condition["message"]) == (name, True)
