"""Which space the main Service serves: the cut-over, what it waits for, and the way back."""

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
from tests.support.world import SPACE_A, SPACE_B, World, fetched


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


async def test_one_can_return_while_the_new_spec_cannot_be_resolved() -> None:
    world = await cut_over()

    world.model(leading_to(SPACE_C, activeVectorSpace=SPACE_A))
    await world.settle()
    world.fail("fetch", "RevisionNotFound")
    await world.settle()

    assert served_by(world) == SPACE_A
    assert alive(world) == {SPACE_A, SPACE_B}


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


async def test_a_suspended_model_does_not_cut_over() -> None:
    world = await with_candidate()
    await start(world, SPACE_B)
    before = roles(world)

    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B, suspend=True)

    assert served_by(world) == SPACE_A
    assert roles(world) == before
