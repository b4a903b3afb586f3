"""Jobs that do not start: Kubernetes' own words reach the condition."""

from typing import Any

import pytest

from tests.support.rendering import settings_of
from tests.support.troubles import fetching, warning
from tests.support.world import HUB


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (
            {
                "phase": "Pending",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "message": "0/2 nodes are available: 2 Insufficient cpu.",
                    }
                ],
            },
            "Unschedulable",
            "0/2 nodes are available",
        ),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image server:1"}}}
                ],
            },
            "ImagePullFailed",
            "no such image server:1",
        ),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": "runAsNonRoot"}}}
                ],
            },
            "ContainerCannotStart",
            "runAsNonRoot",
        ),
    ],
)
async def test_a_pod_that_does_not_start_is_quoted(status: dict[str, Any], reason: str, words: str) -> None:
    world = await fetching()

    world.pod_of(world.job("fetch"), status)
    await world.settle()

    assert world.says("SourceResolved") == ("False", reason)
    assert world.says("Reconciling") == ("True", reason)
    assert words in (world.condition("SourceResolved") or {})["message"]


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ('pods "x" is forbidden: exceeded quota: none, requested: pods=1', "QuotaExceeded"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', "PodForbidden"),
    ],
)
async def test_a_job_without_a_pod_quotes_its_newest_warning(note: str, reason: str) -> None:
    world = await fetching()

    warning(world, world.job("fetch"), note, "FailedCreate")
    again = await world.settle()

    assert world.says("SourceResolved") == ("False", reason)
    assert note in (world.condition("SourceResolved") or {})["message"]
    assert again is not None
    assert again <= 10  # Events are not watched


async def test_a_volume_that_cannot_be_mounted_is_quoted() -> None:
    world = await fetching()
    pod = world.pod_of(world.job("fetch"), {"phase": "Pending"})

    warning(world, pod, 'MountVolume.SetUp failed for volume "token"', "FailedMount")
    await world.settle()

    assert world.says("SourceResolved") == ("False", "ContainerCannotStart")


async def test_a_claim_that_cannot_bind_is_named() -> None:
    world = await fetching()
    claim = world.cluster.find("PersistentVolumeClaim", "embedplane-store")
    assert claim is not None
    world.cluster.put({**claim, "spec": {"storageClassName": "nope"}, "status": {"phase": "Pending"}})
    warning(world, claim, 'storageclass.storage.k8s.io "nope" not found', "ProvisioningFailed")
    world.pod_of(
        world.job("fetch"),
        {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "unbound claims"}]},
    )

    await world.settle()

    assert world.says("SourceResolved") == ("False", "ClaimPending")
    message = (world.condition("SourceResolved") or {})["message"]
    assert "embedplane-store" in message
    assert '"nope" not found' in message


async def test_a_job_that_cannot_start_is_replaced_when_the_image_changes() -> None:
    world = await fetching()
    waiting = {"reason": "ErrImagePull", "message": "no such image"}
    world.pod_of(world.job("fetch"), {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]})
    await world.settle()
    stuck = world.job("fetch")["metadata"]["uid"]

    world.restart(settings_of(images={"server": "server:2", "exporter": "e", "gpuServer": "g"}))
    await world.settle()

    assert world.job("fetch")["metadata"]["uid"] != stuck


async def test_a_running_job_is_left_alone_when_the_image_or_the_spec_changes() -> None:
    world = await fetching()
    world.pod_of(world.job("fetch"), {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]})
    await world.settle()
    running = world.job("fetch")["metadata"]["uid"]

    world.restart(settings_of(images={"server": "server:2", "exporter": "e", "gpuServer": "g"}))
    world.model(HUB | {"servedModelNames": ["x"]})
    await world.settle()

    assert world.job("fetch")["metadata"]["uid"] == running
