"""Two installations that look after one namespace by mistake: the first one acts, the second says so once."""

import pytest

from embedplane_operator.errors import ClusterUnavailableError, Refusal
from tests.support.fake_cluster import FakeCluster
from tests.support.rendering import settings_of
from tests.support.world import ENGINE, HUB, World, fetched


def versions(cluster: FakeCluster) -> dict[tuple[str, str, str], str]:
    return {name: stored["metadata"]["resourceVersion"] for name, stored in cluster.objects.items()}


def another(world: World) -> World:
    """A second installation over the same cluster, with other accelerators than the first."""
    return World(settings_of(installation="another", acceleratorProfiles={}), world.cluster)


async def until_quiet(*worlds: World) -> None:
    """Reconcile in turns, as the events of each other's writes would have it, until nobody writes any more."""
    for _ in range(10):
        before = versions(worlds[0].cluster)
        for world in worlds:
            await world.reconcile()
        if versions(worlds[0].cluster) == before:
            return
    raise AssertionError("the two write in turns for ever")


@pytest.mark.parametrize("accelerator", [{}, {"accelerator": {"profile": "nvidia-l4"}}])
async def test_the_one_that_came_first_goes_on_and_its_status_stands(accelerator: dict[str, dict[str, str]]) -> None:
    first = World()
    second = another(first)
    first.model(HUB | accelerator)
    await first.reconcile()

    await until_quiet(first, second)
    assert first.says("Ready") == ("False", "FetchRunning")

    first.finish("fetch", fetched(engine=ENGINE))
    await until_quiet(first, second)
    first.make_ready()
    await until_quiet(first, second)
    assert first.says("Ready") == ("True", "Serving")
    assert first.deployment()["metadata"]["labels"]["embedplane.io/installation"] == "embedplane"


async def test_two_that_refuse_a_model_in_different_words_come_to_rest() -> None:
    first = World()
    second = another(first)
    first.model(HUB | {"accelerator": {"profile": "abacus"}})

    await until_quiet(first, second)

    assert first.says("Ready") == ("False", "UnknownAccelerator")
    assert first.jobs() == []


async def test_a_refusal_that_got_lost_is_said_again() -> None:
    world = World()
    world.model(HUB | {"accelerator": {"profile": "abacus"}})
    await world.settle()
    before = world.status

    model = world.cluster.find("EmbeddingModel", "minilm") or {}
    world.cluster.put({**model, "status": {}})
    await world.settle()

    assert world.status == before


async def test_a_refusal_that_could_not_be_written_is_said_later() -> None:
    first = World()
    second = another(first)
    await first.serve()
    no_answer = ClusterUnavailableError("PATCH status", Refusal(503, "Unavailable", "not now"))
    first.cluster.refuse = lambda verb, _kind, _name: no_answer if verb == "apply" else None
    with pytest.raises(ClusterUnavailableError):
        await second.reconcile()

    first.cluster.refuse = lambda _verb, _kind, _name: None
    await second.reconcile()

    assert first.says("Ready") == ("False", "ForeignOwner")


async def test_the_second_tells_it_once_for_each_spec() -> None:
    first = World()
    second = another(first)
    await first.serve()

    await second.reconcile()
    assert first.says("Ready") == ("False", "ForeignOwner")
    told = [event for event in first.cluster.all("Event") if event["reason"] == "ForeignOwner"]
    assert len(told) == 1
    await until_quiet(first, second)
    assert first.says("Ready") == ("True", "Serving")

    first.model(HUB | {"servedModelNames": ["x"]})
    await second.reconcile()
    assert first.says("Ready") == ("False", "ForeignOwner")
    await until_quiet(first, second)
    first.make_ready()
    await until_quiet(first, second)
    assert first.says("Ready") == ("True", "Serving")


async def test_what_the_second_says_stands_when_the_first_is_gone() -> None:
    first = World()
    second = another(first)
    await first.serve()

    await second.settle()

    assert first.says("Ready") == ("False", "ForeignOwner")
