"""The operator killed before any of its writes while it gives a profile up: the next one ends in the same state."""

import pytest

from tests.support.kills import is_killed_before
from tests.support.pools import building, built, exported, no_node, on, passing, profile_in_use, server, state
from tests.support.pools import waiting_for_a_build as waiting
from tests.support.spaces import lose_status
from tests.support.world import World

PROFILES = on("l4", "a10g")


async def waiting_for_servers() -> World:
    world = await building(PROFILES)
    await built(world)
    server(world, status=no_node(world))
    await world.settle()
    return world


async def waiting_for_a_build() -> World:
    return await waiting(PROFILES)


async def fall_back(world: World) -> None:
    await passing(world, 15)
    if world.jobs("fetch"):
        await exported(world)


@pytest.mark.parametrize("is_status_lost", [False, True], ids=["status kept", "status lost"])
@pytest.mark.parametrize("begin", [waiting_for_a_build, waiting_for_servers])
async def test_killed_before_any_write_the_next_operator_ends_in_the_same_state(begin, is_status_lost: bool) -> None:
    undisturbed = await begin()
    await fall_back(undisturbed)
    expected, kills = state(undisturbed), 0
    assert expected["profile"] == "a10g"

    world = await begin()
    while await is_killed_before(kills + 1, world, fall_back):
        kills += 1
        if is_status_lost:
            lose_status(world)
            await world.settle()
        await fall_back(world)
        assert state(world) == expected, f"killed before write {kills}"
        world = await begin()

    assert kills >= 3


async def test_a_choice_that_was_recorded_stands_though_nothing_was_done_about_it() -> None:
    world = await waiting_for_a_build()
    before = world.jobs()
    world.advance(15 * 60)
    await world.reconcile()
    assert profile_in_use(world) == "a10g"
    assert world.jobs() == before

    for job in world.jobs("build"):  # it found a node just now
        world.pod_of(job, {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]})
    world.restart()
    await world.settle()

    assert profile_in_use(world) == "a10g"
    assert world.job("fetch") not in before
