"""From a spec to serving pods: which step starts when, and what is pinned, skipped and cleared away."""

import json
from typing import Any

import pytest

from embedplane_operator.autoscale.report import ScalingReport
from embedplane_operator.errors import EmbedplaneError
from embedplane_operator.workqueue import Key
from tests.support.world import ENGINE, HUB, SPACE_A, World, fetched, name_of


async def test_a_new_model_is_fetched_exported_built_and_served() -> None:
    world = World()
    world.model()
    await world.settle()
    assert world.says("SourceResolved") == ("False", "FetchRunning")
    assert world.says("Ready") == ("False", "FetchRunning")
    assert world.says("Reconciling") == ("True", "FetchRunning")
    assert [name_of(claim) for claim in world.cluster.all("PersistentVolumeClaim")] == ["embedplane-store"]

    world.finish("fetch", fetched())
    await world.settle()
    assert world.says("SourceResolved") == ("True", "Resolved")
    assert world.says("EngineReady") == ("False", "ExportRunning")
    assert world.environment(world.job("export"))["EMBEDPLANE_MODEL_DIGEST"] == "d" * 64

    world.finish("export", {"exportKey": "x" * 64, "texts": 64})
    await world.settle()
    assert world.says("EngineReady") == ("False", "BuildRunning")
    assert world.environment(world.job("build"))["EMBEDPLANE_EXPORT_KEY"] == "x" * 64

    world.finish("build", ENGINE)
    await world.settle()
    assert world.says("EngineReady") == ("True", "Published")
    assert name_of(world.deployment()) == "minilm-aaaaaaaa"
    assert "replicas" not in world.deployment()["spec"]
    assert world.says("Ready") == ("False", "Pending")

    world.make_ready()
    await world.settle()
    assert world.says("Ready") == ("True", "Serving")
    assert world.condition("Reconciling") is None
    assert world.condition("Stalled") is None
    assert world.status["servedGeneration"] == world.status["observedGeneration"] == 1
    assert world.status["vectorSpace"]["id"] == SPACE_A
    assert world.status["readyReplicas"] == 1
    assert world.jobs() == []


async def test_a_model_at_rest_is_only_read() -> None:
    world = World()
    await world.serve()
    world.cluster.calls.clear()

    again = await world.reconcile()

    assert {verb for verb, _, _ in world.cluster.calls} <= {"get", "list"}
    assert again is not None
    assert 0.8 * 480 <= again <= 1.2 * 480


async def test_a_restarted_operator_changes_nothing() -> None:
    world = World()
    await world.serve()
    report = ScalingReport(1, "ScalingFollowsLoad", "one replica is enough", active=True, queued_tokens=0)
    world.reports.set(Key("search", "minilm"), report)
    await world.settle()
    assert world.says("ScalingActive") == ("True", "ScalingFollowsLoad")
    assert world.status["scaling"]["desiredReplicas"] == 1
    before = {name: stored["metadata"]["resourceVersion"] for name, stored in world.cluster.objects.items()}

    world.restart()
    await world.reconcile()

    assert {name: stored["metadata"]["resourceVersion"] for name, stored in world.cluster.objects.items()} == before


async def test_steps_whose_output_is_in_the_store_are_skipped() -> None:
    world = World()
    world.model()
    await world.settle()

    world.finish("fetch", fetched(exportKeys={"openvino": "x" * 64}, engine=ENGINE))
    await world.settle()

    assert world.jobs("export") == world.jobs("build") == []
    assert world.environment(world.deployment())["EMBEDPLANE_ENGINE_KEY"] == ENGINE["key"]


async def test_the_token_budget_of_the_spec_stands_above_the_measured_one() -> None:
    world = World()
    world.model(HUB | {"engine": {"maxBatchTokens": 512}})
    await world.settle()

    world.finish("fetch", fetched(engine=ENGINE))
    await world.settle()

    assert world.status["engine"]["maxBatchTokens"] == 512
    assert world.status["engine"]["benchmark"]["batchTokens"] == 2048


async def test_an_export_in_the_store_is_built_without_another_export() -> None:
    world = World()
    world.model()
    await world.settle()

    world.finish("fetch", fetched(exportKeys={"openvino": "y" * 64}))
    await world.settle()

    assert world.jobs("export") == []
    assert world.environment(world.job("build"))["EMBEDPLANE_EXPORT_KEY"] == "y" * 64


async def test_a_changed_replica_count_starts_no_job() -> None:
    world = World()
    await world.serve()

    world.model(HUB | {"scaling": {"minReplicas": 2, "maxReplicas": 3}})
    await world.settle()

    assert world.jobs() == []
    assert [name_of(budget) for budget in world.cluster.all("PodDisruptionBudget")] == ["minilm"]

    world.model(HUB)
    await world.settle()
    assert world.cluster.all("PodDisruptionBudget") == []


async def test_another_engine_is_built_while_the_old_one_serves() -> None:
    world = World()
    await world.serve()
    before = world.deployment()["spec"]

    world.model(HUB | {"engine": {"precision": "float32"}})
    await world.settle()
    assert world.environment(world.job("fetch"))["EMBEDPLANE_SOURCE"] == json.dumps(
        {"huggingFace": {"repo": "acme/embed", "revision": "c" * 40}}
    )
    world.finish("fetch", fetched(exportKeys={"openvino": "x" * 64}))
    await world.settle()
    assert world.deployment()["spec"] == before
    assert world.status["engine"]["precision"] == "bfloat16"
    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.says("Ready") == ("False", "BuildRunning")

    world.finish("build", ENGINE | {"key": "f" * 64, "precision": "float32"})
    await world.settle()
    assert world.environment(world.deployment())["EMBEDPLANE_ENGINE_KEY"] == "f" * 64
    assert world.status["engine"]["precision"] == "float32"


async def test_jobs_of_older_wishes_are_deleted() -> None:
    world = World()
    world.model()
    await world.settle()
    old = name_of(world.job("fetch"))

    world.model({"source": {"huggingFace": {"repo": "acme/other"}}})
    await world.settle()

    assert name_of(world.job("fetch")) != old


async def test_a_restarted_operator_finds_the_shared_jobs_of_older_wishes() -> None:
    world = World()
    world.model()
    await world.settle()
    world.finish("fetch", fetched())
    await world.settle()
    assert world.jobs("export")

    world.restart()
    world.model({"source": {"huggingFace": {"repo": "acme/other"}}})
    await world.settle()

    assert world.jobs("export") == []


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


async def test_a_suspended_model_is_left_as_it_is() -> None:
    world = World()
    await world.serve()
    before = world.deployment()

    world.model(HUB | {"suspend": True, "serving": {"drainDelaySeconds": 1}})
    await world.settle()

    assert world.deployment()["spec"] == before["spec"]
    assert world.says("Ready") == ("True", "Suspended")
    assert world.condition("Reconciling") is None
    assert world.status["servedGeneration"] == 1
    assert world.status["observedGeneration"] == 2
