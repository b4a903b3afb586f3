"""jobs.maxConcurrentBuilds: so many builds run at once for each accelerator profile; the others wait in line."""

import asyncio

import pytest

from embedplane_operator.errors import Refusal, RejectedError
from embedplane_operator.settings import Settings
from embedplane_operator.workqueue import Key
from tests.support.builds import (
    UnhurriedCluster,
    about_to_build,
    bound_to,
    builders,
    end_build,
    fail_build,
    neighbour,
    spec_of,
)
from tests.support.rendering import L4, settings_of
from tests.support.world import World, fetched, name_of


async def a_line(settings: Settings | None = None) -> tuple[World, World, World]:
    """Of three models the first one builds, and the others wait since they came."""
    first = await about_to_build(World(settings or bound_to(1), name="first"))
    first.advance(60)
    second = await about_to_build(neighbour(first, "second"))
    second.advance(60)
    third = await about_to_build(neighbour(second, "third"))
    return first, second, third


@pytest.mark.parametrize("unbounded", [None, 0])
async def test_without_a_bound_all_builds_run_at_once(unbounded: int | None) -> None:
    first, _, third = await a_line(bound_to(unbounded))

    assert builders(first) == ["first", "second", "third"]
    assert third.says("EngineReady") == ("False", "BuildRunning")
    assert "buildTicket" not in third.status


async def test_a_build_beyond_the_bound_waits_and_says_for_whom() -> None:
    first, second, third = await a_line()

    assert builders(first) == ["first"]
    assert first.says("EngineReady") == ("False", "BuildRunning")
    assert second.says("EngineReady") == ("False", "BuildWaiting")
    assert second.says("Reconciling") == ("True", "BuildWaiting")
    message = (third.condition("EngineReady") or {})["message"]
    assert f"running: {name_of(first.job('build'))} of first; waiting before it: second" in message
    assert "jobs.maxConcurrentBuilds is 1" in message
    assert third.status["buildTicket"] == {"since": "2026-11-23T12:02:00Z"}


async def test_who_has_waited_longest_builds_next() -> None:
    first, second, third = await a_line()

    end_build(first)
    await first.settle()
    await third.settle()
    assert builders(first) == []
    assert third.says("EngineReady") == ("False", "BuildWaiting")

    await second.settle()
    await third.settle()
    assert builders(first) == ["second"]
    assert "buildTicket" not in second.status
    assert third.says("EngineReady") == ("False", "BuildWaiting")

    end_build(second)
    await third.settle()
    assert builders(first) == ["third"]


async def test_the_line_outlives_the_operator() -> None:
    first, second, third = await a_line()
    end_build(first)
    for world in (second, third):
        world.advance(600)
        world.restart()

    await third.settle()
    assert builders(first) == []
    await second.settle()

    assert builders(first) == ["second"]


async def test_the_end_of_a_build_wakes_the_first_in_line_and_nobody_else() -> None:
    world = World(bound_to(1), name="first")
    await about_to_build(world)
    for name in ("second", "third"):
        world.advance(60)
        waiting = World(world.settings, world.cluster, world.now, name)
        waiting.reconciler, waiting.index = world.reconciler, world.index
        await about_to_build(waiting)
    job = world.job("build")

    end_build(world)
    woken = world.index.concerned("Job", job)

    assert woken == {Key("search", "first"), Key("search", "second")}


async def test_models_that_look_at_once_do_not_all_start() -> None:
    world = World(bound_to(2), UnhurriedCluster(), name="first")
    names = [f"model-{number}" for number in range(5)]
    for name in names:
        other = neighbour(world, name)
        other.model(spec_of(name))
        await other.settle()
        (fetch,) = [job for job in other.jobs("fetch") if name_of(job).startswith(f"{name}-fetch-")]
        other.end(fetch, {"result": fetched(exportKeys={"openvino": f"export-of-{name}"})})

    await asyncio.gather(*(world.reconciler.reconcile(Key("search", name)) for name in names))

    assert len(builders(world)) == 2


async def test_each_accelerator_profile_has_a_bound_of_its_own() -> None:
    other = L4 | {"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H100"}, "gpuName": "NVIDIA H100"}
    profiles = {"nvidia-l4": L4, "nvidia-h100": other}
    settings = settings_of(jobs={"maxConcurrentBuilds": 1}, acceleratorProfiles=profiles)
    first = await about_to_build(World(settings, name="first"), accelerator={"profile": "nvidia-l4"})
    await about_to_build(neighbour(first, "second"), accelerator={"profile": "nvidia-h100"})
    await about_to_build(neighbour(first, "third"))
    fourth = await about_to_build(neighbour(first, "fourth"), accelerator={"profile": "nvidia-l4"})

    assert builders(first) == ["first", "second", "third"]
    assert fourth.status["buildTicket"]["profile"] == "nvidia-l4"
    assert "accelerator profile nvidia-l4" in (fourth.condition("EngineReady") or {})["message"]


async def test_builds_of_other_namespaces_count_and_are_not_named() -> None:
    first = await about_to_build(World(bound_to(1), name="first"))
    job = first.job("build")
    del first.cluster.objects["Job", "search", name_of(job)]
    first.cluster.put({**job, "metadata": {**job["metadata"], "namespace": "secret"}})

    second = await about_to_build(neighbour(first, "second"))

    message = (second.condition("EngineReady") or {})["message"]
    assert second.says("EngineReady") == ("False", "BuildWaiting")
    assert "running: 1 in other namespaces" in message
    assert name_of(job) not in message


async def test_a_build_that_does_not_start_keeps_its_place_for_half_an_hour() -> None:
    first, second, _ = await a_line()
    job = first.job("build")
    created = {**job["metadata"], "creationTimestamp": first.now.isoformat()}
    first.cluster.put({**job, "metadata": created, "status": {"active": 1, "ready": 0}})
    second.advance(20 * 60)
    await second.settle()
    assert builders(first) == ["first"]

    second.advance(20 * 60)
    await second.settle()

    assert builders(first) == ["first", "second"]


async def test_a_long_build_keeps_its_place() -> None:
    first, second, _ = await a_line()
    job = first.job("build")
    created = {**job["metadata"], "creationTimestamp": first.now.isoformat()}
    first.cluster.put({**job, "metadata": created, "status": {"active": 1, "ready": 1}})

    second.advance(3 * 3600)
    await second.settle()

    assert builders(first) == ["first"]


async def test_a_build_that_is_tried_again_waits_for_its_turn() -> None:
    first, second, _ = await a_line()
    fail_build(first, "StoreUnavailable")
    await first.settle()
    await second.settle()
    assert builders(first) == ["second"]

    first.advance(3600)
    await first.settle()

    assert first.says("EngineReady") == ("False", "BuildWaiting")
    assert builders(first) == ["second"]


async def test_two_models_of_one_build_take_one_place() -> None:
    first, second, _ = await a_line()
    twin = neighbour(second, "twin")
    twin.model(spec_of("first"))
    await twin.settle()
    (fetch,) = [job for job in twin.jobs("fetch") if name_of(job).startswith("twin-fetch-")]
    twin.end(fetch, {"result": fetched(exportKeys={"openvino": "export-of-first"})})
    await twin.settle()

    assert twin.says("EngineReady") == ("False", "BuildRunning")
    assert builders(first) == ["first", "twin"]
    assert len(first.jobs("build")) == 1


async def test_a_model_that_is_refused_a_child_leaves_the_line() -> None:
    first, second, third = await a_line()
    refused = RejectedError("create", Refusal(422, "Invalid", "no such priority class"))
    first.cluster.refuse = lambda verb, kind, _name: refused if (verb, kind) == ("create", "Job") else None
    end_build(first)
    await second.reconcile()
    assert "buildTicket" not in second.status

    first.cluster.refuse = lambda _verb, _kind, _name: None
    await third.settle()

    assert builders(first) == ["third"]


@pytest.mark.parametrize("gone", ["suspended", "deleted"])
async def test_a_model_that_is_suspended_or_deleted_leaves_the_line(gone: str) -> None:
    first, second, third = await a_line()
    end_build(first)
    if gone == "suspended":
        second.model(spec_of("second", suspend=True))
        await second.settle()
    else:
        del first.cluster.objects["EmbeddingModel", "search", "second"]

    await third.settle()

    assert builders(first) == ["third"]
