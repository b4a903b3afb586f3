"""The operator killed before any of its writes, with the status lost or not: the next one ends in the same state."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.kills import KilledError, Step, is_killed_before
from tests.support.spaces import (
    SPACE_C,
    alive,
    ask_for,
    cut_over,
    deployment_of,
    lose_status,
    noted,
    roles,
    served_by,
    serving,
    start,
    with_candidate,
)
from tests.support.world import SPACE_A, SPACE_B, World


async def ready_candidate() -> World:
    world = await with_candidate()
    await start(world, SPACE_B)
    return world


async def retired() -> World:
    world = await cut_over()
    await start(world, SPACE_A, 0)
    world.advance(86401)
    return world


def asking_for(space: str, **more: Any) -> Step:
    return lambda world: ask_for(world, space, **more)


async def settling(world: World) -> None:
    await world.settle()


STEPS: dict[str, tuple[Callable[[], Awaitable[World]], Step]] = {
    "a candidate": (serving, asking_for(SPACE_B)),
    "another candidate": (ready_candidate, asking_for(SPACE_C)),
    "an undone edit": (ready_candidate, asking_for(SPACE_A)),
    "the cut-over": (ready_candidate, asking_for(SPACE_B, activeVectorSpace=SPACE_B)),
    "the return": (cut_over, asking_for(SPACE_B, activeVectorSpace=SPACE_A)),
    "the return and the undone edit": (cut_over, asking_for(SPACE_A, activeVectorSpace=SPACE_A)),
    "a third space": (cut_over, asking_for(SPACE_C, activeVectorSpace=SPACE_B)),
    "the end of a space": (retired, settling),
    "back to Refuse": (ready_candidate, asking_for(SPACE_B, vectorSpacePolicy="Refuse")),
}


def state(world: World) -> dict[str, Any]:
    marks = {
        name: deployment["metadata"]["annotations"].get("embedplane.io/retiring-since") is not None
        for name, deployment in ((space, deployment_of(world, space)) for space in alive(world))
    }
    return {
        "alive": alive(world),
        "services": (served_by(world), served_by(world, "minilm-candidate")),
        "budgets": {each["metadata"]["name"] for each in world.cluster.all("PodDisruptionBudget")},
        "jobs": {each["metadata"]["name"] for each in world.jobs()},
        "roles": roles(world),
        "noted": noted(world),
        "marks": marks,
        "conditions": [world.says(kind) for kind in ("Ready", "VectorSpaceStable", "Available")],
        "space": world.status["vectorSpace"]["id"],
        "candidate": world.status.get("candidate", {}).get("vectorSpace", {}).get("id"),
    }


@pytest.mark.parametrize("is_status_lost", [False, True], ids=["status kept", "status lost"])
@pytest.mark.parametrize("name", STEPS)
async def test_killed_before_any_write_the_next_operator_ends_in_the_same_state(
    name: str, is_status_lost: bool
) -> None:
    begin, step = STEPS[name]
    undisturbed = await begin()
    await step(undisturbed)
    expected, kills = state(undisturbed), 0

    world = await begin()
    while await is_killed_before(kills + 1, world, step):
        kills += 1
        if is_status_lost:
            lose_status(world)
        await step(world)
        assert state(world) == expected, f"killed before write {kills}"
        world = await begin()

    assert kills >= 3


@pytest.mark.parametrize("begin", [serving, ready_candidate, cut_over, retired])
async def test_with_service_and_status_lost_the_roles_are_read_from_the_deployments(
    begin: Callable[[], Awaitable[World]],
) -> None:
    world = await begin()
    before = state(world)

    lose_status(world)
    for name in ("minilm", "minilm-candidate"):
        world.cluster.objects.pop(("Service", "search", name), None)
    world.restart()
    if begin is retired:
        await start(world, SPACE_A, 1)
    await world.settle()

    assert {**state(world), "roles": None} == {**before, "roles": None}
    assert roles(world) == noted(world)


async def test_what_the_main_service_was_moved_to_stays_though_the_notes_were_not_written() -> None:
    world = await with_candidate(ready=2)
    await start(world, SPACE_B, 2)

    def kill(verb: str, _kind: str, _name: str) -> Any:
        return KilledError() if verb == "patch" else None

    world.cluster.refuse = kill
    with pytest.raises(KilledError):
        await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B)
    world.cluster.refuse = lambda _verb, _kind, _name: None
    world.restart()
    assert (served_by(world), noted(world)[SPACE_A]) == (SPACE_B, "Active")

    await start(world, SPACE_B, 1)

    assert served_by(world) == SPACE_B
    assert roles(world) == noted(world) == {SPACE_B: "Active", SPACE_A: "Retiring"}
