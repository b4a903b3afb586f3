"""Servers that end, hang or are forbidden: what the model says of them."""

import json
from typing import Any

import pytest

from tests.support.troubles import serving_not_ready
from tests.support.world import HUB, World


@pytest.mark.parametrize(
    ("container", "reason", "words"),
    [
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "message": "boom"}},
            },
            "CrashLoop",
            "boom",
        ),
        (
            {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
            "OutOfMemory",
            "spec.resources.limits.memory",
        ),
        (
            {
                "lastState": {
                    "terminated": {
                        "exitCode": 65,
                        "message": json.dumps({"error": {"reason": "StoreUnavailable", "message": "stale handle"}}),
                    }
                }
            },
            "StoreUnavailable",
            "stale handle",
        ),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 0, "reason": "Completed"}},
            },
            "CrashLoop",
            "exit code 0",
        ),
        (
            {
                "state": {"running": {}},
                "restartCount": 2,
                "lastState": {"terminated": {"exitCode": 0, "reason": "Completed"}},
            },
            "CrashLoop",
            "probe",
        ),
    ],
)
async def test_a_server_that_ends_is_explained(container: dict[str, Any], reason: str, words: str) -> None:
    world = await serving_not_ready()

    world.server_pod(container)
    await world.settle()

    assert world.says("Available") == ("False", reason)
    assert world.says("Ready") == ("False", reason)
    assert words in (world.condition("Available") or {})["message"]


async def test_a_server_that_was_told_to_end_once_is_simply_starting() -> None:
    world = await serving_not_ready()
    world.cluster.put({**world.deployment(), "status": {"replicas": 1}})

    world.server_pod({"state": {"running": {}}, "restartCount": 1, "lastState": {"terminated": {"exitCode": 0}}})
    await world.settle()

    assert world.says("Available") == ("False", "RolloutRunning")


async def test_a_server_that_admission_forbids_is_explained() -> None:
    world = await serving_not_ready()
    message = 'pods "x" is forbidden: no PriorityClass with name none was found'
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": message}]

    world.cluster.put({**world.deployment(), "status": {"conditions": conditions}})
    await world.settle()

    assert world.says("Available") == ("False", "PodForbidden")


async def test_a_rollout_that_hangs_shows_its_trouble_while_the_old_server_answers() -> None:
    world = World()
    await world.serve()
    world.model(HUB | {"serving": {"drainDelaySeconds": 1}})
    await world.settle()
    deployment = world.deployment()
    world.cluster.put({**deployment, "status": {"replicas": 2, "updatedReplicas": 1, "readyReplicas": 1}})
    world.server_pod({"state": {"waiting": {"reason": "ErrImagePull", "message": "gone"}}})

    await world.settle()

    assert world.says("Available") == ("True", "ReplicasReady")
    assert world.says("Ready") == ("False", "ImagePullFailed")
    assert world.status["servedGeneration"] == 1


async def test_a_deployment_that_was_scaled_to_nothing_is_said_to_be() -> None:
    world = World()
    await world.serve(HUB | {"scaling": {"mode": "Disabled"}})
    deployment = world.deployment()
    world.cluster.put(
        {**deployment, "spec": {**deployment["spec"], "replicas": 0}, "status": {"observedGeneration": 9}}
    )

    await world.settle()

    assert "scaled to 0" in (world.condition("Available") or {})["message"]
