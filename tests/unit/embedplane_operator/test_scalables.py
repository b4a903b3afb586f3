"""What the autoscaler may scale: the servers of models that exist, of this installation."""

from embedplane_operator.autoscale.demand import DemandQueries
from embedplane_operator.autoscale.loop import AutoscaleLoop, Outlets
from embedplane_operator.autoscale.scalable import Scalable
from embedplane_operator.scalables import ServerScales
from tests.support.rendering import settings_of
from tests.support.spaces import ask_for, cut_over, deployment_of, start, with_candidate
from tests.support.world import HUB, SPACE_A, SPACE_B, World


async def test_a_served_model_can_be_scaled_by_its_benchmark_and_rules() -> None:
    world = World()
    await world.serve(HUB | {"scaling": {"minReplicas": 1, "maxReplicas": 4}})

    (found,) = await ServerScales(world.cluster, settings_of()).list_scalable()

    assert (found.model, found.deployment, found.replicas, found.ready_replicas) == ("minilm", "minilm-aaaaaaaa", 1, 1)
    assert found.vector_space == "vs1-aaaaaaaa000000000000"
    assert found.rules.max_replicas == 4
    assert found.benchmark_tokens_per_second == 27000.5
    assert not found.replicas_owned


async def test_replicas_that_somebody_set_are_owned() -> None:
    world = World()
    await world.serve()
    deployment = world.deployment()
    deployment["metadata"]["managedFields"] = [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]

    (found,) = await ServerScales(world.cluster, settings_of(watchNamespaces=["search"])).list_scalable()

    assert found.replicas_owned


async def test_another_installation_and_a_model_that_is_gone_are_left_alone() -> None:
    world = World()
    await world.serve()

    assert await ServerScales(world.cluster, settings_of(installation="another")).list_scalable() == []
    del world.cluster.objects["EmbeddingModel", "search", "minilm"]
    assert await ServerScales(world.cluster, settings_of()).list_scalable() == []


async def test_replicas_are_set_on_the_scale_only() -> None:
    world = World()
    await world.serve()

    await ServerScales(world.cluster, settings_of()).set_replicas("search", "minilm-aaaaaaaa", 3)

    assert world.deployment()["spec"]["replicas"] == 3
    await world.settle()
    assert world.deployment()["spec"]["replicas"] == 3


async def test_a_refused_spec_holds_the_replicas() -> None:
    world = World()
    await world.serve(HUB | {"scaling": {"minReplicas": 3, "maxReplicas": 4}})

    (found,) = await ServerScales(world.cluster, settings_of(store={"accessMode": "ReadWriteOnce"})).list_scalable()

    assert found.rules.is_paused


async def test_a_status_that_cannot_be_read_leaves_the_model_scaled() -> None:
    world = World()
    await world.serve()
    model = world.cluster.find("EmbeddingModel", "minilm") or {}
    world.cluster.put({**model, "status": {"replicas": "of a later version"}})

    (found,) = await ServerScales(world.cluster, settings_of()).list_scalable()

    assert found.model == "minilm"


async def scalables(world: World) -> dict[str, Scalable]:
    return {each.vector_space: each for each in await ServerScales(world.cluster, settings_of()).list_scalable()}


async def test_two_spaces_are_scaled_each_for_itself_and_reported_for_the_active_one() -> None:
    found = await scalables(await with_candidate())

    assert {space: (each.is_active, each.retires) for space, each in found.items()} == {
        SPACE_A: (True, False),
        SPACE_B: (False, False),
    }


async def test_two_lengths_of_one_model_are_told_apart() -> None:
    world = await with_candidate()
    world.model(world.model()["spec"] | {"embedding": {"dimensions": {"default": 128}}})
    await world.settle()

    assert set(await scalables(world)) == {SPACE_A, f"{SPACE_A};dimensions=128"}


async def test_while_a_cut_over_is_wanted_the_candidate_gets_as_many_servers_as_are_ready() -> None:
    world = await with_candidate(ready=3)
    assert (await scalables(world))[SPACE_B].rules.min_replicas == 1

    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B)

    found = await scalables(world)
    assert [found[space].rules.min_replicas for space in (SPACE_A, SPACE_B)] == [1, 3]


async def test_a_space_that_is_returned_to_is_started_again() -> None:
    world = await cut_over(ready=2)
    await start(world, SPACE_A, 0)
    assert (await scalables(world))[SPACE_A].retires

    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_A)

    returned = (await scalables(world))[SPACE_A]
    assert (returned.retires, returned.rules.min_replicas) == (False, 2)


async def test_an_operator_without_prometheus_carries_a_cut_over_and_a_return_through() -> None:
    world = await with_candidate(ready=2)
    loop = AutoscaleLoop(
        ServerScales(world.cluster, world.settings), None, DemandQueries(), Outlets(world.reports, lambda _key: None)
    )
    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B)

    await loop.tick(0.0)

    assert deployment_of(world, SPACE_B)["spec"]["replicas"] == 2
    assert deployment_of(world, SPACE_A)["spec"]["replicas"] == 2
