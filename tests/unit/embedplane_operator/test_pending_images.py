"""Pods that have a node and wait for an image or a volume, and servers that wait as Jobs do."""

import pytest

from tests.support.pending import NO_L4, PULLING, building, events_of, message, say, server_pod, starting, unscheduled
from tests.support.world import ENGINE, World


async def test_a_long_pull_names_image_node_and_start() -> None:
    world = await building()
    pod = world.pod_of(world.job("build"), starting("build"))
    say(world, pod, "kubelet", "Pulling", PULLING, container="build")
    await world.settle()
    assert world.says("EngineReady") == ("False", "BuildRunning")  # most pulls end before it is worth a word

    world.advance(60)
    await world.settle()

    assert world.says("EngineReady") == ("False", "ImagePulling")
    assert "the image server-gpu:1" in message(world)
    assert "since 12:00:00 UTC" in message(world)
    assert ("Normal", "ImagePulling") in events_of(world)


async def test_a_status_does_not_change_while_a_pull_goes_on() -> None:
    world = await building()
    pod = world.pod_of(world.job("build"), starting("build"))
    say(world, pod, "kubelet", "Pulling", PULLING, container="build")
    world.advance(60)
    await world.settle()
    before = world.cluster.find("EmbeddingModel", "minilm")

    world.advance(300)
    again = await world.settle()

    assert world.cluster.find("EmbeddingModel", "minilm") == before
    assert again is not None
    assert again <= 10  # Events are not watched


@pytest.mark.parametrize("end", ["Pulled", "Failed"])
async def test_a_pull_that_ended_is_no_wait_for_an_image(end: str) -> None:
    world = await building()
    pod = world.pod_of(world.job("build"), starting("build"))
    say(world, pod, "kubelet", "Pulling", PULLING, container="build")
    world.advance(60)

    say(world, pod, "kubelet", end, "the end of it", container="build")
    await world.settle()

    assert world.says("EngineReady") == ("False", "BuildRunning")


async def test_a_job_whose_image_is_pulled_is_left_alone_when_the_spec_changes() -> None:
    world = await building()
    pod = world.pod_of(world.job("build"), starting("build"))
    say(world, pod, "kubelet", "Pulling", PULLING, container="build")
    world.advance(60)
    await world.settle()
    pulling = world.job("build")["metadata"]["uid"]

    world.model({**(world.cluster.find("EmbeddingModel", "minilm") or {})["spec"], "servedModelNames": ["x"]})
    await world.settle()

    assert world.job("build")["metadata"]["uid"] == pulling


async def test_what_the_scheduler_said_before_is_forgotten_once_a_node_took_the_pod() -> None:
    world = await building()
    pod = world.pod_of(world.job("build"), starting("build"))

    say(world, pod, "default-scheduler", "FailedScheduling", NO_L4, type="Warning")
    say(world, pod, "cluster-autoscaler", "FailedScaleUp", "GCE out of resources", type="Warning")
    await world.settle()

    assert world.says("EngineReady") == ("False", "BuildRunning")


async def test_a_volume_that_was_mounted_at_last_is_no_trouble_any_more() -> None:
    world = await building()
    pod = world.pod_of(world.job("build"), starting("build"))
    say(world, pod, "kubelet", "FailedMount", "MountVolume.SetUp failed", type="Warning")
    await world.settle()
    assert world.says("EngineReady") == ("False", "ContainerCannotStart")

    world.advance(30)
    say(world, pod, "kubelet", "Pulling", PULLING, container="build")
    world.advance(60)
    await world.settle()

    assert world.says("EngineReady") == ("False", "ImagePulling")


async def serving_on_l4() -> World:
    """A model whose engine is published, and whose servers are about to start."""
    world = await building()
    world.finish("build", ENGINE | {"backend": "tensorrt", "precision": "float16"})
    await world.settle()
    return world


async def test_servers_wait_for_nodes_and_images_in_the_same_words() -> None:
    world = await serving_on_l4()
    pod = server_pod(world, unscheduled(NO_L4))
    await world.settle()
    assert world.says("Available") == ("False", "NoMatchingNode")
    assert world.says("Ready") == ("False", "NoMatchingNode")

    say(world, pod, "karpenter", "Nominated", "Pod should schedule on: nodeclaim/l4-x7k2q")
    await world.settle()
    assert world.says("Available") == ("False", "NodeProvisioning")

    world.cluster.put({**pod, "status": starting("server")})
    say(world, pod, "kubelet", "Pulling", PULLING, container="server")
    world.advance(60)
    await world.settle()
    assert world.says("Available") == ("False", "ImagePulling")
    assert "node l4-1" in message(world, "Available")


async def test_a_server_that_crashes_is_said_before_one_that_is_on_its_way() -> None:
    world = await serving_on_l4()
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    crashing = {"phase": "Running", "containerStatuses": [{"name": "server", "ready": False, "lastState": ended}]}
    server_pod(world, crashing, "a")
    world.advance(10)
    pod = server_pod(world, starting("server"), "b")
    say(world, pod, "kubelet", "Pulling", PULLING, container="server")
    world.advance(60)

    await world.settle()

    assert world.says("Available") == ("False", "OutOfMemory")
