"""A source that has moved on since it was pinned is told of, and nothing moves until the user says so."""

from typing import Any

import pytest

from embedplane_operator.api.durations import span_of
from embedplane_operator.cluster import ClusterError
from embedplane_operator.errors import ForbiddenError, Refusal
from tests.support.world import HUB, SPACE_B, World, fetched, name_of

PINNED, MOVED = "c" * 40, "2" * 40
DAILY = {"source": {"huggingFace": {"repo": "acme/embed", "revision": "main"}, "driftCheckInterval": "24h"}}
DAY = 24 * 3600


def folder(**change: Any) -> dict[str, Any]:
    claim = {"claimName": "models", "path": "minilm"}
    return {"source": {"persistentVolumeClaim": claim, "driftCheckInterval": "24h", **change}}


async def watched(spec: dict[str, Any] = DAILY) -> World:
    """A served model whose source was looked at once."""
    world = World()
    await world.serve(spec)
    return world


async def checked(world: World, commit: str) -> None:
    world.finish("resolve", {"commit": commit})
    await world.settle()


def jobs(world: World) -> list[str]:
    return [name_of(job) for job in world.jobs("resolve")]


async def test_without_an_interval_nobody_looks() -> None:
    world = await watched(HUB)

    assert world.jobs() == []
    assert world.condition("SourceDrifted") is None


async def test_the_source_is_asked_once_a_served_model_is_pinned() -> None:
    world = World()
    world.model(DAILY)
    await world.settle()
    assert jobs(world) == []
    await world.serve(DAILY)

    (job,) = world.jobs("resolve")
    assert world.environment(job)["EMBEDPLANE_SOURCE"] == '{"huggingFace": {"repo": "acme/embed", "revision": "main"}}'
    assert world.condition("SourceDrifted") is None
    assert world.says("Ready") == ("True", "Serving")


async def test_a_source_that_has_not_moved_is_not_mentioned() -> None:
    world = await watched()

    await checked(world, PINNED)

    assert world.condition("SourceDrifted") is None


async def test_a_source_that_has_moved_is_told_with_both_commits_and_nothing_moves() -> None:
    world = await watched()
    before = world.deployment()

    await checked(world, MOVED)

    assert world.says("SourceDrifted") == ("True", "UpstreamMoved")
    message = (world.condition("SourceDrifted") or {})["message"]
    assert f"main of acme/embed is {MOVED} by now, pinned is {PINNED}" in message
    assert "kubectl annotate em minilm embedplane.io/resolve=222222222222" in message
    assert world.status["upstream"]["commit"] == MOVED
    assert world.status["source"]["commit"] == PINNED
    assert world.says("Ready") == ("True", "Serving")
    assert world.deployment() == before
    assert world.jobs("fetch") == []


async def test_a_folder_of_a_claim_drifts_when_its_files_change() -> None:
    world = World()
    world.cluster.put({"kind": "PersistentVolumeClaim", "metadata": {"name": "models"}, "status": {"phase": "Bound"}})
    await world.serve(folder())

    await checked(world, f"sha256:{'9' * 64}")

    message = (world.condition("SourceDrifted") or {})["message"]
    assert "the folder minilm of the claim models" in message
    assert "embedplane.io/resolve=999999999999" in message


async def test_each_interval_has_one_look_and_the_job_before_goes() -> None:
    world = await watched()
    await checked(world, PINNED)
    (first,) = jobs(world)

    world.advance(DAY)
    await world.settle()
    (second,) = jobs(world)
    assert second != first

    await checked(world, PINNED)
    assert jobs(world) == [second]


async def test_the_model_comes_round_again_when_the_next_look_is_due() -> None:
    world = World()
    world.restart(world.settings.model_copy(update={"resync_seconds": 10 * DAY}))
    await world.serve(DAILY)
    world.finish("resolve", {"commit": PINNED})

    again = await world.settle()
    assert again is not None
    assert 0 < again <= DAY
    before = jobs(world)
    world.advance(again)
    await world.settle()

    assert jobs(world) != before


async def test_models_look_at_different_times() -> None:
    times = set()
    for name in ("minilm", "mpnet", "e5"):
        world = World(name=name)
        world.restart(world.settings.model_copy(update={"resync_seconds": 10 * DAY}))
        await world.serve(DAILY)
        world.finish("resolve", {"commit": PINNED})
        times.add(await world.settle())

    assert len(times) == 3


async def test_drift_is_over_when_upstream_comes_back() -> None:
    world = await watched()
    await checked(world, MOVED)

    world.advance(DAY)
    await world.settle()
    assert world.says("SourceDrifted") == ("True", "UpstreamMoved")
    await checked(world, PINNED)

    assert world.condition("SourceDrifted") is None


async def test_drift_is_over_once_the_user_has_it_resolved_again() -> None:
    world = await watched()
    await checked(world, MOVED)

    world.model(annotations={"embedplane.io/resolve": MOVED[:12]})
    await world.settle()
    world.finish("fetch", fetched(commit=MOVED))
    await world.settle()

    assert world.status["source"]["commit"] == MOVED
    assert world.condition("SourceDrifted") is None
    await checked(world, MOVED)
    assert world.condition("SourceDrifted") is None


async def test_a_move_to_another_space_is_refused_and_the_drift_stays_told() -> None:
    world = await watched()
    await checked(world, MOVED)

    world.model(annotations={"embedplane.io/resolve": "now"})
    await world.settle()
    world.finish("fetch", fetched(SPACE_B, commit=MOVED))
    await world.settle()

    assert world.says("VectorSpaceStable") == ("False", "VectorSpaceChangeRefused")
    assert world.says("SourceDrifted") == ("True", "UpstreamMoved")
    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.status["source"]["commit"] == PINNED


async def test_a_revision_that_is_a_commit_cannot_drift() -> None:
    world = await watched({"source": {"huggingFace": {"repo": "acme/embed", "revision": PINNED}} | {
        "driftCheckInterval": "1h"
    }})  # fmt: skip

    assert world.jobs() == []


async def test_a_look_that_fails_leaves_the_model_ready_and_says_so() -> None:
    world = await watched()

    world.fail("resolve", "HubUnavailable", "the hub cannot be used.", exit_code=65)
    await world.settle()

    assert world.says("SourceDrifted") == ("Unknown", "HubUnavailable")
    assert "the hub cannot be used." in (world.condition("SourceDrifted") or {})["message"]
    assert world.says("Ready") == ("True", "Serving")

    world.advance(61)
    await world.settle()
    assert world.says("SourceDrifted") == ("Unknown", "HubUnavailable")
    await checked(world, PINNED)
    assert world.condition("SourceDrifted") is None


async def test_a_look_that_fails_does_not_take_back_what_is_known() -> None:
    world = await watched()
    await checked(world, MOVED)
    world.advance(DAY)
    await world.settle()

    world.fail("resolve", "HubUnavailable", exit_code=65)
    await world.settle()

    assert world.says("SourceDrifted") == ("True", "UpstreamMoved")


async def test_a_look_that_may_not_start_hinders_nothing() -> None:
    def refuse(verb: str, kind: str, name: str) -> ClusterError | None:
        is_check = verb == "create" and kind == "Job" and "-resolve-" in name
        return ForbiddenError("create", Refusal(403, "Forbidden", "exceeded quota")) if is_check else None

    world = World()
    world.cluster.refuse = refuse
    await world.serve(DAILY)

    assert world.says("Ready") == ("True", "Serving")
    assert world.jobs() == []


async def test_a_lost_pod_of_a_look_is_not_made_again_once_its_answer_is_known() -> None:
    world = await watched()
    await checked(world, MOVED)
    before = world.jobs("resolve")

    world.lose_pods()
    await world.settle()

    assert world.jobs("resolve") == before
    assert world.says("SourceDrifted") == ("True", "UpstreamMoved")


async def test_a_suspended_model_is_not_looked_at_and_keeps_what_is_known() -> None:
    world = await watched()
    await checked(world, MOVED)
    before = jobs(world)

    world.model(DAILY | {"suspend": True})
    world.advance(DAY)
    await world.settle()

    assert jobs(world) == before
    assert world.says("SourceDrifted") == ("True", "UpstreamMoved")


async def test_whoever_switches_the_looks_off_gets_rid_of_their_traces() -> None:
    world = await watched()
    await checked(world, MOVED)

    world.model(HUB)
    await world.settle()

    assert world.jobs() == []
    assert world.condition("SourceDrifted") is None
    assert "upstream" not in world.status


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("24h", 86400)])
def test_a_duration_has_its_seconds(text: str, seconds: int) -> None:
    assert span_of(text).total_seconds() == seconds
