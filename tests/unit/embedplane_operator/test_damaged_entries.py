"""Entries of the store that are damaged: made again once, told in conditions and Events, and set aside."""

import pytest

from tests.support.repairs import IN_STORE, complain, failing
from tests.support.world import ENGINE, HUB, World, fetched, name_of

ASIDE = {"entry": "engines/en1-0/cpu", "place": "quarantine/20261126T000000Z-0a1b2c3d"}


def events(world: World) -> list[tuple[str, str]]:
    """Reason and words of what was told."""
    return [(each["reason"], each["note"]) for each in world.cluster.all("Event")]


async def test_a_damaged_engine_is_built_again_once_and_told_where_it_is_set_aside() -> None:
    world = await failing(reason="EngineCorrupt")
    assert world.says("Available") == ("False", "EngineCorrupt")

    world.advance(30)
    world.finish("fetch", fetched(**IN_STORE))  # which reads manifests only, and finds it there
    await world.settle()
    assert world.says("EngineReady") == ("False", "BuildRunning")
    world.advance(30)
    world.finish("build", ENGINE | {"setAside": [ASIDE]})
    await world.settle()

    words = f"{ASIDE['entry']} was damaged and is set aside in {ASIDE['place']}"
    assert any(reason == "Published" and words in note for reason, note in events(world))
    world.lose_pods()
    world.make_ready()
    await world.settle()
    assert world.says("Ready") == ("True", "Serving")
    assert world.jobs() == []
    assert words in (world.condition("EngineReady") or {})["message"]
    assert world.status["engine"]["setAside"] == [ASIDE]


async def test_an_engine_that_is_damaged_again_after_it_was_built_is_not_built_for_ever() -> None:
    world = await failing(reason="EngineCorrupt")
    world.advance(30)
    world.finish("fetch", fetched(**IN_STORE))
    await world.settle()
    world.advance(30)
    world.finish("build", ENGINE)
    await world.settle()

    world.advance(30)
    complain(world, reason="EngineCorrupt")
    await world.settle()

    assert world.jobs() == []
    assert world.says("Stalled") == ("True", "EngineCorrupt")
    assert "did not help" in (world.condition("Ready") or {})["message"]


@pytest.mark.parametrize(("step", "reason"), [("export", "ModelCorrupt"), ("build", "ExportCorrupt")])
async def test_what_a_job_finds_damaged_is_made_again_from_the_fetch_on(step: str, reason: str) -> None:
    world = World()
    world.model(HUB)
    await world.settle()
    world.finish("fetch", fetched(exportKeys={"openvino": "x" * 64} if step == "build" else {}))
    await world.settle()
    fetch = name_of(world.job("fetch"))

    world.advance(30)
    world.fail(step, reason, "it was damaged; it is set aside.", exit_code=65)
    await world.settle()

    assert world.says("SourceResolved") == ("False", "FetchRunning")
    assert name_of(world.job("fetch")) == fetch
    assert (world.job("fetch").get("status") or {}) == {}  # a new one of the same name
    world.advance(30)
    aside = {"entry": "models/d", "place": "quarantine/q"}
    world.finish("fetch", fetched(setAside=[aside]))
    await world.settle()
    said = (world.condition("SourceResolved") or {})["message"]
    assert "models/d was damaged and is set aside in quarantine/q" in said
