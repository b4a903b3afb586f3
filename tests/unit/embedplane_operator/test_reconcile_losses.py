"""What is lost on the way from a spec to serving pods comes back, and what is deleted stays so."""

from typing import Any

import pytest

from embedplane_operator.errors import EmbedplaneError
from tests.support.world import HUB, World, fetched, name_of


async def test_a_deployment_that_somebody_deleted_comes_back_without_a_job() -> None:
    world = World()
    await world.serve()
    del world.cluster.objects["Deployment", "search", "minilm-aaaaaaaa"]

    await world.settle()

    assert name_of(world.deployment()) == "minilm-aaaaaaaa"
    assert world.jobs() == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": {"huggingFace": {"repo": "acme/gone"}}}, "RepositoryNotFound"),
        ({"accelerator": {"profile": "abacus"}}, "UnknownAccelerator"),
    ],
)
async def test_an_endpoint_that_somebody_deleted_comes_back_whatever_a_change_leads_to(
    change: dict[str, Any], reason: str
) -> None:
    world = World()
    several = {"scaling": {"minReplicas": 1, "maxReplicas": 3}}
    await world.serve(HUB | several)
    service = world.cluster.find("Service", "minilm")
    world.model(HUB | several | change)
    await world.settle()
    if world.jobs("fetch"):
        world.fail("fetch", "RepositoryNotFound")
        await world.settle()
    assert world.says("Ready") == ("False", reason)

    for kind in ("Service", "PodDisruptionBudget"):
        del world.cluster.objects[kind, "search", "minilm"]
    await world.settle()

    restored = world.cluster.find("Service", "minilm")
    assert service is not None
    assert restored is not None
    assert restored["spec"] == service["spec"]
    assert world.cluster.find("PodDisruptionBudget", "minilm") is not None
    assert world.says("Ready") == ("False", reason)


async def test_a_complete_job_whose_pod_is_gone_runs_again() -> None:
    world = World()
    world.model()
    await world.settle()
    world.finish("fetch", fetched())
    first = world.job("fetch")["metadata"]["uid"]
    world.lose_pods()

    await world.settle()

    assert world.job("fetch")["metadata"]["uid"] != first
    assert world.says("SourceResolved") == ("False", "FetchRunning")


async def test_a_build_whose_export_is_gone_starts_over_from_the_fetch() -> None:
    world = World()
    world.model()
    await world.settle()
    world.finish("fetch", fetched())
    await world.settle()
    world.finish("export", {"exportKey": "x" * 64, "texts": 64})
    await world.settle()
    fetch, export = (world.job(step)["metadata"]["uid"] for step in ("fetch", "export"))
    world.advance(30)
    world.fail("build", "ExportMissing", exit_code=65)

    await world.settle()
    assert world.job("fetch")["metadata"]["uid"] != fetch

    world.advance(5)
    world.finish("fetch", fetched())
    await world.settle()
    assert world.says("EngineReady") == ("False", "ExportRunning")
    assert world.job("export")["metadata"]["uid"] != export

    world.advance(5)
    world.finish("export", {"exportKey": "x" * 64, "texts": 64})
    await world.settle()
    assert world.says("EngineReady") == ("False", "ExportMissing")  # until its pause is over
    world.advance(60)
    await world.settle()
    assert world.says("EngineReady") == ("False", "BuildRunning")


async def test_an_export_whose_model_is_gone_starts_over_from_the_fetch() -> None:
    world = World()
    world.model()
    await world.settle()
    world.finish("fetch", fetched())
    await world.settle()
    first = world.job("fetch")["metadata"]["uid"]
    world.advance(30)
    world.fail("export", "ModelMissing", exit_code=65)

    await world.settle()
    assert world.job("fetch")["metadata"]["uid"] != first
    assert world.says("SourceResolved") == ("False", "FetchRunning")

    world.advance(60)
    world.finish("fetch", fetched())
    await world.settle()
    assert world.says("EngineReady") == ("False", "ExportRunning")


async def test_a_model_that_is_being_deleted_is_left_to_its_owner_references() -> None:
    world = World()
    world.model(deletionTimestamp="2026-11-23T12:00:00Z")

    assert await world.reconcile() is None

    assert world.jobs() == []


async def test_a_model_that_is_gone_is_forgotten() -> None:
    world = World()
    world.model()
    await world.settle()
    del world.cluster.objects["EmbeddingModel", "search", "minilm"]

    assert await world.reconcile() is None

    assert world.index.shared_jobs(("search", "minilm")) is None  # type: ignore[arg-type]  # a plain pair equals a Key


async def test_children_of_a_deleted_model_of_the_same_name_are_waited_for() -> None:
    world = World()
    await world.serve()
    former = world.deployment()
    owner = {**former["metadata"]["ownerReferences"][0], "uid": "former"}
    world.cluster.put({**former, "metadata": {**former["metadata"], "ownerReferences": [owner]}})
    world.restart()

    with pytest.raises(EmbedplaneError, match="still being deleted"):
        await world.reconcile()

    del world.cluster.objects["Deployment", "search", "minilm-aaaaaaaa"]
    await world.settle()
    assert world.deployment()["metadata"]["ownerReferences"][0]["uid"] == "uid-of-minilm"
