"""What becomes of a space that is not active any more."""

import pytest

from tests.support.spaces import (
    SPACE_C,
    alive,
    ask_for,
    cut_over,
    deployment_of,
    leading_to,
    roles,
    served_by,
    start,
    with_candidate,
)
from tests.support.world import SPACE_A, SPACE_B


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


async def test_after_the_return_and_the_undone_edit_the_new_space_retires() -> None:
    world = await cut_over()
    await ask_for(world, SPACE_A, activeVectorSpace=SPACE_A)

    assert served_by(world) == SPACE_A
    assert roles(world) == {SPACE_A: "Active", SPACE_B: "Retiring"}
    assert world.jobs() == []
    assert world.says("Ready") == ("True", "Serving")


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
