"""From a spec to serving pods: which step starts when, and what is pinned, skipped and cleared away."""

import json

from embedplane_operator.autoscale.report import ScalingReport
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
