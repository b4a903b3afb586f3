"""Changes that move no vector: they reach the spaces that the spec leads to."""

import json
from typing import Any

import pytest

from tests.support.spaces import deployment_of, leading_to, roles, served_by, start, with_candidate
from tests.support.world import ENGINE, SPACE_A, SPACE_B, fetched


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
