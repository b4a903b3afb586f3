"""What the autoscaler may scale: the servers of models that exist, of this installation."""

from embedplane_operator.scalables import ServerScales
from tests.support.rendering import settings_of
from tests.support.world import HUB, World


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
