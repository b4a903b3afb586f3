"""vectorSpacePolicy SideBySide: a candidate beside the active space, the cut-over, what retires, and the way back."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.spaces import (
    SPACE_C,
    alive,
    ask_for,
    cut_over,
    deployment_of,
    leading_to,
    noted,
    roles,
    served_by,
    serving,
    start,
    with_candidate,
)
from tests.support.world import ENGINE, HUB, SPACE_A, SPACE_B, World, fetched


async def test_another_space_is_served_beside_the_old_one_which_stays_as_it_was() -> None:
    world = await serving()
    template = deployment_of(world, SPACE_A)["spec"]["template"]

    await ask_for(world, SPACE_B)

    assert alive(world) == {SPACE_A, SPACE_B}
    assert (served_by(world), served_by(world, "minilm-candidate")) == (SPACE_A, SPACE_B)
    assert roles(world) == noted(world) == {SPACE_A: "Active", SPACE_B: "Candidate"}
    assert deployment_of(world, SPACE_A)["spec"]["template"] == template
    assert world.environment(deployment_of(world, SPACE_B))["EMBEDPLANE_VECTOR_SPACE"] == SPACE_B
    assert world.status["vectorSpace"]["id"] == SPACE_A
    assert world.status["candidate"]["vectorSpace"]["id"] == SPACE_B
    assert world.says("VectorSpaceStable") == ("True", "SideBySide")
    assert world.says("Ready") == ("False", "RolloutRunning")

    await start(world, SPACE_B)
    assert world.says("Ready") == ("True", "Serving")
    message = (world.condition("VectorSpaceStable") or {})["message"]
    assert "They differ in the pooling (mean before, cls now)" in message
    assert f"set spec.activeVectorSpace to {SPACE_B}" in message
    assert world.jobs() == []


async def test_the_candidate_has_a_budget_of_its_own_until_the_cut_over() -> None:
    world = await with_candidate()

    def budget(name: str) -> str | None:
        found = world.cluster.find("PodDisruptionBudget", name)
        return found["spec"]["selector"]["matchLabels"]["embedplane.io/vector-space"] if found else None

    assert (budget("minilm"), budget("minilm-candidate")) == (SPACE_A, SPACE_B)
    await start(world, SPACE_B)
    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B)
    assert (budget("minilm"), budget("minilm-candidate")) == (SPACE_B, None)


async def test_a_candidate_shows_before_it_has_servers() -> None:
    world = await serving()
    world.model(leading_to(SPACE_B))
    await world.settle()
    world.finish("fetch", fetched(SPACE_B))
    await world.settle()

    assert roles(world) == {SPACE_A: "Active", SPACE_B: "Candidate"}
    assert world.says("Ready") == ("False", "ExportRunning")
    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.status["candidate"]["source"]["commit"] == "c" * 40
    assert served_by(world, "minilm-candidate") is None


async def test_the_main_service_moves_once_the_candidate_has_as_many_ready_servers() -> None:
    world = await with_candidate(ready=2)
    await start(world, SPACE_B, 1)

    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B)
    assert served_by(world) == SPACE_A
    assert world.says("VectorSpaceStable") == ("False", "CutoverWaiting")
    assert world.says("Reconciling") == ("True", "CutoverWaiting")
    assert f"1 of 2 servers of {SPACE_B}" in (world.condition("Ready") or {})["message"]

    await start(world, SPACE_B, 2)
    assert served_by(world) == SPACE_B
    assert roles(world) == noted(world) == {SPACE_B: "Active", SPACE_A: "Retiring"}
    assert world.status["vectorSpace"]["id"] == SPACE_B
    assert world.status["source"]["commit"] == "c" * 40
    assert "candidate" not in world.status
    assert world.says("VectorSpaceStable") == ("True", "Unchanged")
    assert world.says("Ready") == ("True", "Serving")
    assert served_by(world, "minilm-candidate") == SPACE_B


async def test_a_cut_over_that_was_asked_for_with_the_change_comes_by_itself() -> None:
    world = await serving()

    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B)
    assert world.says("VectorSpaceStable") == ("False", "CutoverWaiting")
    await start(world, SPACE_B)

    assert served_by(world) == SPACE_B


async def test_a_failure_on_the_way_to_a_named_candidate_is_what_is_told() -> None:
    world = await serving()
    world.model(leading_to(SPACE_B, activeVectorSpace=SPACE_B))
    await world.settle()
    assert world.says("Ready") == ("False", "FetchRunning")
    world.finish("fetch", fetched(SPACE_B))
    await world.settle()
    world.fail("export", "UnsupportedModel", "no such layer")
    await world.settle()

    assert world.says("Ready") == ("False", "UnsupportedModel")
    assert world.says("Stalled") == ("True", "UnsupportedModel")
    assert "takes over once" in (world.condition("VectorSpaceStable") or {})["message"]


async def test_a_cut_over_that_waits_for_servers_which_do_not_start_has_their_words() -> None:
    world = await with_candidate()
    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B)
    deployment = deployment_of(world, SPACE_B)
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}
    world.cluster.put({**deployment, "status": {"conditions": [failure]}})
    await world.settle()

    message = (world.condition("Ready") or {})["message"]
    assert f"0 of 1 servers of {SPACE_B}" in message
    assert "exceeded quota: small" in message


@pytest.mark.parametrize("begin", [with_candidate, cut_over])
async def test_spaces_at_rest_cost_no_write(begin: Callable[[], Awaitable[World]]) -> None:
    world = await begin()
    world.restart()
    await world.settle()
    world.cluster.calls.clear()

    await world.reconcile()

    assert {verb for verb, _, _ in world.cluster.calls} <= {"get", "list"}


async def test_an_active_space_whose_deployment_is_gone_is_not_replaced_by_the_candidate() -> None:
    world = await with_candidate()
    await start(world, SPACE_B)

    del world.cluster.objects["Deployment", "search", deployment_of(world, SPACE_A)["metadata"]["name"]]
    await world.settle()
    assert (served_by(world), served_by(world, "minilm-candidate")) == (SPACE_A, SPACE_B)
    assert world.says("Available") == ("False", "Pending")
    assert world.status["vectorSpace"]["id"] == SPACE_A

    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B)
    assert served_by(world) == SPACE_B
    assert world.says("Ready") == ("True", "Serving")


async def test_without_activevectorspace_what_was_served_first_stays() -> None:
    world = await with_candidate()
    await start(world, SPACE_B, 4)
    world.advance(7 * 86400)
    await world.settle()

    assert served_by(world) == SPACE_A
    assert world.says("Ready") == ("True", "Serving")


async def test_a_retiring_space_is_kept_for_its_time_and_then_until_it_has_no_servers() -> None:
    world = await cut_over()
    since = deployment_of(world, SPACE_A)["metadata"]["annotations"]["embedplane.io/retiring-since"]
    assert since == "2026-11-23T12:01:00Z"
    assert world.status["vectorSpaces"][1]["retiringSince"] == since

    world.advance(23 * 3600)
    await start(world, SPACE_A, 0)
    assert alive(world) == {SPACE_A, SPACE_B}
    await start(world, SPACE_A, 1)
    world.advance(2 * 3600)
    await world.settle()
    assert alive(world) == {SPACE_A, SPACE_B}

    await start(world, SPACE_A, 0)
    assert alive(world) == {SPACE_B}
    assert roles(world) == {SPACE_B: "Active"}
    assert served_by(world, "minilm-candidate") is None
    assert world.says("Ready") == ("True", "Serving")


async def test_the_model_comes_round_when_a_retiring_space_s_time_is_up() -> None:
    world = await cut_over()
    world.advance(86400 - 100)

    assert await world.reconcile() == pytest.approx(100, abs=1)


async def test_retireafter_says_for_how_long() -> None:
    world = await cut_over()
    await start(world, SPACE_A, 0)

    world.advance(601)
    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B, retireAfter="10m")

    assert alive(world) == {SPACE_B}


async def test_the_old_space_is_returned_to_by_naming_it() -> None:
    world = await cut_over()
    await start(world, SPACE_A, 0)

    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_A)
    assert served_by(world) == SPACE_B
    assert world.says("VectorSpaceStable") == ("False", "CutoverWaiting")

    await start(world, SPACE_A)
    assert served_by(world) == SPACE_A
    assert roles(world) == noted(world) == {SPACE_A: "Active", SPACE_B: "Candidate"}
    assert "embedplane.io/retiring-since" not in deployment_of(world, SPACE_A)["metadata"]["annotations"]
    assert world.status["vectorSpace"]["id"] == SPACE_A


async def test_after_the_return_and_the_undone_edit_the_new_space_retires() -> None:
    world = await cut_over()
    await ask_for(world, SPACE_A, activeVectorSpace=SPACE_A)

    assert served_by(world) == SPACE_A
    assert roles(world) == {SPACE_A: "Active", SPACE_B: "Retiring"}
    assert world.jobs() == []
    assert world.says("Ready") == ("True", "Serving")


async def test_one_can_return_while_the_new_spec_cannot_be_resolved() -> None:
    world = await cut_over()

    world.model(leading_to(SPACE_C, activeVectorSpace=SPACE_A))
    await world.settle()
    world.fail("fetch", "RevisionNotFound")
    await world.settle()

    assert served_by(world) == SPACE_A
    assert alive(world) == {SPACE_A, SPACE_B}


async def test_undoing_the_edit_removes_a_candidate_that_never_was_active() -> None:
    world = await with_candidate()
    await start(world, SPACE_B)

    await ask_for(world, SPACE_A)

    assert alive(world) == {SPACE_A}
    assert served_by(world, "minilm-candidate") is None
    assert world.cluster.find("PodDisruptionBudget", "minilm-candidate") is None
    assert world.says("Ready") == ("True", "Serving")
    assert world.jobs() == []


async def test_another_edit_replaces_a_candidate_that_never_was_active() -> None:
    world = await with_candidate()
    await start(world, SPACE_B)

    await ask_for(world, SPACE_C)

    assert alive(world) == {SPACE_A, SPACE_C}
    assert (served_by(world), served_by(world, "minilm-candidate")) == (SPACE_A, SPACE_C)


async def test_a_third_space_waits_until_a_retiring_one_is_gone() -> None:
    world = await cut_over()

    await ask_for(world, SPACE_C, activeVectorSpace=SPACE_B)
    assert alive(world) == {SPACE_A, SPACE_B}
    assert world.says("VectorSpaceStable") == ("False", "CandidateWaiting")
    assert "minilm-aaaaaaaa" in (world.condition("Ready") or {})["message"]
    assert world.jobs("export") == world.jobs("build") == []

    world.advance(86400)
    await start(world, SPACE_A, 0)
    assert alive(world) == {SPACE_B, SPACE_C}
    assert roles(world) == {SPACE_B: "Active", SPACE_C: "Candidate"}


async def test_a_name_that_is_neither_served_nor_led_to_is_answered_with_those_that_are() -> None:
    world = await with_candidate()
    await start(world, SPACE_B)

    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_C)

    assert world.says("VectorSpaceStable") == ("False", "UnknownVectorSpace")
    assert world.says("Stalled") == ("True", "UnknownVectorSpace")
    assert f"set it to {SPACE_A} or {SPACE_B}" in (world.condition("Ready") or {})["message"]
    assert (served_by(world), served_by(world, "minilm-candidate")) == (SPACE_A, SPACE_B)


async def test_a_model_that_is_new_here_serves_no_other_space_than_the_named_one() -> None:
    world = World()

    await ask_for(world, SPACE_A, activeVectorSpace=SPACE_B)
    assert world.says("Ready") == ("False", "UnknownVectorSpace")
    assert alive(world) == set()

    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B)
    assert alive(world) == {SPACE_B}
    assert served_by(world) == SPACE_B


async def test_back_to_refuse_a_candidate_goes_and_the_change_is_refused() -> None:
    world = await with_candidate()
    await start(world, SPACE_B)

    await ask_for(world, SPACE_B, vectorSpacePolicy="Refuse")

    assert alive(world) == {SPACE_A}
    assert world.says("VectorSpaceStable") == ("False", "VectorSpaceChangeRefused")
    assert world.says("Available") == ("True", "ReplicasReady")
    assert "candidate" not in world.status


async def test_back_to_refuse_after_a_cut_over_the_old_space_is_kept_for_its_time() -> None:
    world = await cut_over()

    world.model(leading_to(SPACE_B, activeVectorSpace=SPACE_B) | {"vectorSpacePolicy": "Refuse"})
    await world.settle()
    assert alive(world) == {SPACE_A, SPACE_B}
    assert world.says("Ready") == ("True", "Serving")

    world.model(leading_to(SPACE_B, activeVectorSpace=SPACE_A) | {"vectorSpacePolicy": "Refuse"})
    await world.settle()
    assert served_by(world) == SPACE_B
    assert world.says("VectorSpaceStable") == ("False", "VectorSpaceChangeRefused")

    world.advance(86401)
    await start(world, SPACE_A, 0)
    assert alive(world) == {SPACE_B}


async def test_another_length_is_another_space_beside_the_first_and_needs_no_job() -> None:
    world = await serving()

    world.model(leading_to(SPACE_A) | {"embedding": {"dimensions": {"default": 128}}})
    await world.settle()

    assert {each["metadata"]["name"] for each in world.cluster.all("Deployment")} == {
        "minilm-aaaaaaaa",
        "minilm-aaaaaaaa-d128",
    }
    assert served_by(world) == SPACE_A
    assert served_by(world, "minilm-candidate") == f"{SPACE_A}.dimensions-128"
    assert roles(world) == {SPACE_A: "Active", f"{SPACE_A};dimensions=128": "Candidate"}
    assert world.jobs() == []


@pytest.mark.parametrize("change", [{"serving": {"drainDelaySeconds": 3}}, {"podTemplate": {"labels": {"team": "a"}}}])
async def test_a_change_within_a_space_reaches_all_spaces_of_the_same_source(change: dict[str, Any]) -> None:
    world = await with_candidate()
    await start(world, SPACE_B)
    before = [deployment_of(world, space)["spec"]["template"] for space in (SPACE_A, SPACE_B)]

    world.model(leading_to(SPACE_B) | change)
    await world.settle()

    after = [deployment_of(world, space)["spec"]["template"] for space in (SPACE_A, SPACE_B)]
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert served_by(world) == SPACE_A


async def test_another_engine_rolls_out_after_its_gate_in_the_space_that_the_spec_leads_to() -> None:
    world = await with_candidate()
    await start(world, SPACE_B)
    template = deployment_of(world, SPACE_A)["spec"]["template"]

    world.model(leading_to(SPACE_B) | {"engine": {"precision": "float32"}})
    await world.settle()
    assert world.environment(deployment_of(world, SPACE_B))["EMBEDPLANE_ENGINE_KEY"] == "bbbbbbbb" * 8
    world.finish("fetch", fetched(SPACE_B, engine=ENGINE | {"key": "f" * 64, "precision": "float32"}))
    await world.settle()

    assert world.environment(deployment_of(world, SPACE_B))["EMBEDPLANE_ENGINE_KEY"] == "f" * 64
    assert deployment_of(world, SPACE_A)["spec"]["template"] == template
    assert roles(world) == {SPACE_A: "Active", SPACE_B: "Candidate"}


async def test_a_suspended_model_does_not_cut_over() -> None:
    world = await with_candidate()
    await start(world, SPACE_B)
    before = roles(world)

    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B, suspend=True)

    assert served_by(world) == SPACE_A
    assert roles(world) == before


async def test_pods_of_a_retiring_space_are_told_and_those_of_a_returned_one_again() -> None:
    world = await with_candidate()
    await start(world, SPACE_B)
    for space in (SPACE_A, SPACE_B):
        labels = deployment_of(world, space)["spec"]["template"]["metadata"]["labels"]
        world.cluster.put(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod-{space[4:12]}", "labels": labels}}
        )

    def told(space: str) -> str | None:
        pod = world.cluster.find("Pod", f"pod-{space[4:12]}") or {}
        role: str | None = (pod["metadata"].get("annotations") or {}).get("embedplane.io/role")
        return role

    await world.settle()
    assert (told(SPACE_A), told(SPACE_B)) == (None, None)
    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B)
    assert (told(SPACE_A), told(SPACE_B)) == ("Retiring", None)
    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_A)
    assert (told(SPACE_A), told(SPACE_B)) == (None, "Retiring")


async def test_a_model_with_one_space_and_refuse_gets_no_notes() -> None:
    world = World()
    await world.serve(HUB)

    assert noted(world) == {SPACE_A: None}
    assert "vectorSpaces" not in world.status


async def test_a_candidate_whose_engine_is_gone_gets_it_again_and_the_active_space_stays_as_it_is() -> None:
    world = await with_candidate()
    before = deployment_of(world, SPACE_A)
    candidate, key = deployment_of(world, SPACE_B), "bbbbbbbb" * 8
    world.advance(3600)
    said = json.dumps({"error": {"reason": "EngineMissing", "message": "nothing to load.", "engine": key}})
    ended = {"exitCode": 66, "message": said, "finishedAt": world.now.isoformat()}
    container = {"name": "server", "ready": False, "restartCount": 1, "lastState": {"terminated": ended}}
    labels = candidate["spec"]["template"]["metadata"]["labels"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod-b", "labels": labels}}
    world.cluster.put({**pod, "status": {"phase": "Running", "containerStatuses": [container]}})

    def repair() -> dict[str, Any]:
        record = deployment_of(world, SPACE_B)["metadata"]["annotations"].get("embedplane.io/repair")
        return json.loads(record) if record else {}

    await world.settle()
    assert repair()["lack"]["reason"] == "EngineMissing"
    world.advance(30)
    world.finish("fetch", fetched(SPACE_B, exportKeys={"openvino": "x" * 64}))
    await world.settle()
    world.advance(30)
    world.finish("build", ENGINE | {"key": key})
    await world.settle()

    assert "lack" not in repair()
    assert repair()["done"]
    assert deployment_of(world, SPACE_A) == before
    assert served_by(world) == SPACE_A
