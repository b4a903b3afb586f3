"""A candidate beside the active space: when it comes, what it is given, and what takes its place."""

from collections.abc import Awaitable, Callable

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
from tests.support.world import HUB, SPACE_A, SPACE_B, World, fetched


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


async def test_back_to_refuse_a_candidate_goes_and_the_change_is_refused() -> None:
    world = await with_candidate()
    await start(world, SPACE_B)

    await ask_for(world, SPACE_B, vectorSpacePolicy="Refuse")

    assert alive(world) == {SPACE_A}
    assert world.says("VectorSpaceStable") == ("False", "VectorSpaceChangeRefused")
    assert world.says("Available") == ("True", "ReplicasReady")
    assert "candidate" not in world.status


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


async def test_a_model_with_one_space_and_refuse_gets_no_notes() -> None:
    world = World()
    await world.serve(HUB)

    assert noted(world) == {SPACE_A: None}
    assert "vectorSpaces" not in world.status
