"""Jobs that fail: their reason, and when they run again."""

from typing import Any

import pytest

from tests.support.troubles import TOKEN, fetching
from tests.support.world import HUB, World, fetched


@pytest.mark.parametrize("reason", ["RepositoryNotFound", "RevisionNotFound", "NoSafetensors", "UnsupportedModel"])
async def test_a_permanent_failure_stalls_with_the_job_s_own_words_and_is_tried_hourly(reason: str) -> None:
    world = await fetching()
    world.fail("fetch", reason, "acme/embed is not there")
    failed = world.job("fetch")["metadata"]["uid"]

    await world.settle()

    assert world.says("SourceResolved") == ("False", reason)
    assert world.says("Ready") == ("False", reason)
    assert world.says("Stalled") == ("True", reason)
    assert "acme/embed is not there" in (world.condition("SourceResolved") or {})["message"]
    world.advance(3590)
    await world.settle()
    assert world.job("fetch")["metadata"]["uid"] == failed
    world.advance(20)
    await world.settle()
    assert world.job("fetch")["metadata"]["uid"] != failed
    assert world.job("fetch")["metadata"]["annotations"]["embedplane.io/attempt"] == "2"


async def test_a_transient_failure_is_tried_again_after_growing_pauses() -> None:
    world = await fetching()
    for pause in (60, 120, 240, 480, 900, 900):
        world.fail("fetch", "HubUnavailable", exit_code=65)
        failed = world.job("fetch")["metadata"]["uid"]
        await world.settle()
        assert world.says("Reconciling") == ("True", "HubUnavailable")
        assert world.condition("Stalled") is None
        world.advance(pause - 1)
        await world.settle()
        assert world.job("fetch")["metadata"]["uid"] == failed
        world.advance(1)
        await world.settle()
        assert world.job("fetch")["metadata"]["uid"] != failed


@pytest.mark.parametrize("change", [{"spec": HUB | {"suspend": False, "servedModelNames": ["x"]}}])
async def test_a_changed_spec_runs_a_failed_job_again_at_once(change: dict[str, Any]) -> None:
    world = await fetching()
    world.fail("fetch", "RepositoryNotFound")
    await world.settle()
    failed = world.job("fetch")["metadata"]["uid"]

    world.model(**change)
    await world.settle()

    assert world.job("fetch")["metadata"]["uid"] != failed
    assert world.job("fetch")["metadata"]["annotations"]["embedplane.io/attempt"] == "1"


async def test_a_repaired_secret_runs_a_failed_fetch_again_at_once() -> None:
    world = World()
    world.cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub-token"}})
    world.model(TOKEN)
    await world.settle()
    world.fail("fetch", "AccessDenied")
    again = await world.settle()
    assert again is not None
    assert again <= 10  # Secrets are not watched
    failed = world.job("fetch")["metadata"]["uid"]

    world.cluster.put(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub-token"}, "data": {"token": "bmV3"}}
    )
    await world.settle()

    assert world.job("fetch")["metadata"]["uid"] != failed


@pytest.mark.parametrize(
    ("ended", "reason", "words"),
    [
        ({"exitCode": 137, "reason": "OOMKilled"}, "OutOfMemory", "jobs.fetch.resources"),
        ({"exitCode": 1, "reason": "Error", "message": "Traceback"}, "InternalError", "exit code 1: Traceback"),
        ({"exitCode": 65, "reason": "Error"}, "InternalError", "exit code 65"),
    ],
)
async def test_an_end_without_an_answer_is_explained(ended: dict[str, Any], reason: str, words: str) -> None:
    world = await fetching()

    world.kill("fetch", ended)
    await world.settle()

    assert world.says("SourceResolved") == ("False", reason)
    assert words in (world.condition("SourceResolved") or {})["message"]


async def test_a_build_without_memory_names_the_field_of_the_spec() -> None:
    world = await fetching()
    world.finish("fetch", fetched(exportKeys={"openvino": "x" * 64}))
    await world.settle()

    world.kill("build", {"exitCode": 137, "reason": "OOMKilled"})
    await world.settle()

    assert world.says("EngineReady") == ("False", "OutOfMemory")
    assert "spec.engine.jobs.resources.limits.memory" in (world.condition("EngineReady") or {})["message"]


async def test_a_job_past_its_deadline_says_so() -> None:
    world = await fetching()
    pod = world.pod_of(world.job("fetch"), {"phase": "Failed", "reason": "DeadlineExceeded"})
    assert pod
    conditions = [{"type": "Failed", "status": "True", "lastTransitionTime": world.now.isoformat()}]
    world.cluster.put({**world.job("fetch"), "status": {"conditions": conditions}})

    await world.settle()

    assert world.says("SourceResolved") == ("False", "DeadlineExceeded")


async def test_an_engine_below_the_floor_is_not_served() -> None:
    world = await fetching()
    world.finish("fetch", fetched(exportKeys={"openvino": "x" * 64}))
    await world.settle()

    world.fail("build", "ConformanceFailed", "lowest cosine 0.98 is below minimumCosine 0.999")
    await world.settle()

    assert world.says("EngineReady") == ("False", "ConformanceFailed")
    assert world.cluster.all("Deployment") == []


async def test_an_answer_of_another_version_is_explained() -> None:
    world = await fetching()

    world.finish("fetch", {"commit": "c"})
    await world.settle()

    assert world.says("SourceResolved") == ("False", "InternalError")
    assert "images.server" in (world.condition("SourceResolved") or {})["message"]
