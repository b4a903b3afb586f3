"""What is under way goes on when an answer of an earlier step is lost, and vectors that exist keep their space."""

import pytest

from tests.support.rendering import settings_of
from tests.support.world import ENGINE, HUB, SPACE_A, SPACE_B, World, fetched

TOKEN = {"source": {"huggingFace": {"repo": "acme/embed", "tokenSecretRef": {"name": "hub"}}}}


async def building(spec=HUB) -> World:
    """A model whose build runs: fetch and export are done."""
    world = World()
    world.model(spec)
    await world.settle()
    world.finish("fetch", fetched())
    await world.settle()
    world.finish("export", {"exportKey": "x" * 24, "texts": 64})
    await world.settle()
    build = world.job("build")
    world.pod_of(build, {"phase": "Running", "containerStatuses": [{"name": "build", "state": {"running": {}}}]})
    await world.settle()
    return world


@pytest.mark.parametrize("step", ["fetch", "export"])
async def test_a_running_build_survives_the_loss_of_an_earlier_job_s_pod(step: str) -> None:
    world = await building()
    build = world.job("build")["metadata"]["uid"]
    pod = world.cluster.find("Pod", f"{world.job(step)['metadata']['name']}-pod")
    assert pod is not None

    del world.cluster.objects["Pod", "search", pod["metadata"]["name"]]
    await world.settle()

    assert world.job("build")["metadata"]["uid"] == build


async def test_a_build_that_outlived_a_lost_answer_goes_when_it_is_not_needed_any_more() -> None:
    world = await building()
    world.lose_pods()
    await world.settle()
    assert world.jobs("build")

    world.finish("fetch", fetched(engine=ENGINE))
    await world.settle()
    world.make_ready()
    await world.settle()

    assert world.says("Ready") == ("True", "Serving")
    assert world.jobs() == []


async def test_a_running_build_survives_the_exchange_of_the_secret() -> None:
    world = World()
    world.cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub", "namespace": "search"}})
    world.model(TOKEN)
    await world.settle()
    world.finish("fetch", fetched(exportKeys={"openvino": "x" * 24}))
    await world.settle()
    build = world.job("build")["metadata"]["uid"]

    del world.cluster.objects["Secret", "search", "hub"]
    await world.settle()

    assert world.job("build")["metadata"]["uid"] == build


async def test_a_space_whose_rollout_never_ended_is_kept_once_a_pod_took_requests() -> None:
    world = World()
    world.model(HUB | {"scaling": {"minReplicas": 2, "maxReplicas": 2}})
    await world.settle()
    world.finish("fetch", fetched(SPACE_A, engine=None, exportKeys={"openvino": "x" * 24}))
    await world.settle()
    world.finish("build", ENGINE)
    await world.settle()
    world.deployment()["spec"]["replicas"] = 2
    world.make_ready(1)
    await world.settle()
    world.make_ready(0)
    await world.settle()

    world.model(HUB | {"embedding": {"maxSequenceLength": 64}, "scaling": {"minReplicas": 2, "maxReplicas": 2}})
    await world.settle()
    world.finish("fetch", fetched(SPACE_B))
    await world.settle()

    assert world.says("VectorSpaceStable") == ("False", "VectorSpaceChangeRefused")
    assert world.deployment()["metadata"]["labels"]["embedplane.io/vector-space"] == SPACE_A


async def test_a_repaired_installation_runs_a_failed_job_again_at_once() -> None:
    world = World()
    world.model()
    await world.settle()
    world.fail("fetch", "OutOfMemory")
    await world.settle()
    before = world.job("fetch")["metadata"]["uid"]

    world.restart(settings_of(jobs={"fetch": {"resources": {"limits": {"memory": "4Gi"}}}}))
    await world.settle()

    assert world.job("fetch")["metadata"]["uid"] != before


async def test_an_admission_that_rewrites_images_does_not_undo_the_back_off() -> None:
    world = World()
    world.model()
    await world.settle()
    job = world.job("fetch")
    job["spec"]["template"]["spec"]["containers"][0]["image"] = "mirror/server@sha256:0"
    world.cluster.put(job)
    world.fail("fetch", "RepositoryNotFound")
    before = world.job("fetch")["metadata"]["uid"]

    await world.settle()

    assert world.job("fetch")["metadata"]["uid"] == before
