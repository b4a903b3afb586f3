"""Pods that wait for a node: what kind of wait it is, whose words say so, and what can be done."""

from typing import Any

import pytest

from embedplane_operator.errors import ForbiddenError, Refusal
from embedplane_operator.scheduling import read_tally
from tests.support.pending import (
    L4_TAKEN,
    NO_L4,
    building,
    events_of,
    message,
    say,
    starting,
    unscheduled,
)
from tests.support.world import HUB, World, name_of


async def test_a_pool_without_a_node_is_named_with_its_labels() -> None:
    world = await building()

    world.pod_of(world.job("build"), unscheduled(NO_L4))
    await world.settle()

    assert world.says("EngineReady") == ("False", "NoMatchingNode")
    assert world.says("Ready") == ("False", "NoMatchingNode")
    for words in (NO_L4, "nvidia.com/gpu.product=NVIDIA-L4", "acceleratorProfiles.nvidia-l4", "1 with a taint"):
        assert words in message(world)
    assert ("Warning", "NoMatchingNode") in events_of(world)


async def test_a_cluster_without_any_node_has_none_of_the_pool() -> None:
    world = await building()

    world.pod_of(world.job("build"), unscheduled("no nodes available to schedule pods"))
    await world.settle()

    assert world.says("EngineReady") == ("False", "NoMatchingNode")


async def test_a_full_pool_is_told_from_one_that_is_not_there() -> None:
    world = await building()

    world.pod_of(world.job("build"), unscheduled(L4_TAKEN))
    await world.settle()

    assert world.says("EngineReady") == ("False", "Unschedulable")
    assert L4_TAKEN in message(world)
    assert "every nvidia.com/gpu" in message(world)


async def test_labels_of_the_user_s_own_that_no_node_has_are_named() -> None:
    world = World()
    world.model(HUB | {"podTemplate": {"nodeSelector": {"disk": "tape"}}})
    await world.settle()

    world.pod_of(world.job("fetch"), unscheduled(NO_L4))
    await world.settle()

    assert world.says("SourceResolved") == ("False", "NoMatchingNode")
    assert "disk=tape" in message(world, "SourceResolved")
    assert "correct spec.podTemplate" in message(world, "SourceResolved")


@pytest.mark.parametrize(
    ("who", "reason", "note"),
    [
        ("cluster-autoscaler", "TriggeredScaleUp", "pod triggered scale-up: [{l4-pool 0->1 (max: 2)}]"),
        ("karpenter", "Nominated", "Pod should schedule on: nodeclaim/l4-x7k2q"),
        ("eks-auto-mode/compute", "Nominated", "Pod should schedule on: nodeclaim/l4-x7k2q"),
    ],
)
async def test_an_autoscaler_that_brings_a_node_is_quoted(who: str, reason: str, note: str) -> None:
    world = await building()
    pod = world.pod_of(world.job("build"), unscheduled(NO_L4))
    say(world, pod, "default-scheduler", "FailedScheduling", NO_L4, type="Warning")

    world.advance(5)
    say(world, pod, who, reason, note)
    await world.settle()

    assert world.says("EngineReady") == ("False", "NodeProvisioning")
    assert world.says("Reconciling") == ("True", "NodeProvisioning")
    assert f"{who} brings a node for pod {name_of(pod)} since 12:00:05 UTC: {note}" in message(world)
    assert ("Normal", "NodeProvisioning") in events_of(world)


@pytest.mark.parametrize(
    ("who", "reason", "note"),
    [
        ("cluster-autoscaler", "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached"),
        (
            "cluster-autoscaler",
            "FailedScaleUp",
            "Node scale up in zones us-east4-a associated with this pod failed: GCE out of resources.",
        ),
        ("karpenter", "FailedScheduling", "Failed to schedule pod, all available instance types exceed limits"),
    ],
)
async def test_an_autoscaler_that_brings_no_node_says_why(who: str, reason: str, note: str) -> None:
    world = await building()
    pod = world.pod_of(world.job("build"), unscheduled(NO_L4))
    say(world, pod, who, "TriggeredScaleUp", "pod triggered scale-up: [{l4-pool 0->1 (max: 2)}]")

    world.advance(600)
    say(world, pod, who, reason, note)
    await world.settle()

    assert world.says("EngineReady") == ("False", "ScaleUpRefused")
    assert note in message(world)
    assert NO_L4 in message(world)
    assert ("Warning", "ScaleUpRefused") in events_of(world)


async def test_the_newest_word_of_an_autoscaler_counts() -> None:
    world = await building()
    pod = world.pod_of(world.job("build"), unscheduled(L4_TAKEN))
    say(world, pod, "cluster-autoscaler", "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 in backoff")
    await world.settle()
    assert world.says("EngineReady") == ("False", "ScaleUpRefused")

    world.advance(300)
    say(world, pod, "cluster-autoscaler", "TriggeredScaleUp", "pod triggered scale-up: [{l4-pool 1->2 (max: 2)}]")
    await world.settle()

    assert world.says("EngineReady") == ("False", "NodeProvisioning")


async def test_the_same_reasons_in_another_order_are_no_news() -> None:
    world = await building()
    pod = world.pod_of(world.job("build"), unscheduled(NO_L4))
    full, labels = "1 max node group size reached", "2 node(s) didn't match Pod's node affinity/selector"
    say(world, pod, "cluster-autoscaler", "NotTriggerScaleUp", f"pod didn't trigger scale-up: {full}, {labels}")
    await world.settle()
    before = world.cluster.find("EmbeddingModel", "minilm")

    world.advance(60)
    say(world, pod, "cluster-autoscaler", "NotTriggerScaleUp", f"pod didn't trigger scale-up: {labels}, {full}")
    await world.settle()

    assert world.cluster.find("EmbeddingModel", "minilm") == before


async def test_events_are_asked_for_once_a_look_and_never_of_pods_that_run() -> None:
    world = await building()
    pod = world.pod_of(world.job("build"), unscheduled(NO_L4))
    await world.settle()
    world.cluster.calls.clear()
    await world.reconcile()
    assert world.cluster.calls.count(("list", "Event", f"regarding.uid={pod['metadata']['uid']}")) == 1

    pod = world.pod_of(world.job("build"), {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]})
    await world.settle()
    world.cluster.calls.clear()
    await world.reconcile()
    assert not [call for call in world.cluster.calls if call[1] == "Event" and pod["metadata"]["uid"] in call[2]]


async def test_words_about_another_pod_do_not_count() -> None:
    world = await building()
    pod = world.pod_of(world.job("build"), unscheduled(L4_TAKEN))

    other = {"metadata": {"name": "other", "uid": "uid-of-another-pod"}}
    say(world, other, "cluster-autoscaler", "TriggeredScaleUp", "pod triggered scale-up: [{l4-pool 0->1 (max: 2)}]")
    await world.settle()

    assert pod["metadata"]["uid"] != "uid-of-another-pod"
    assert world.says("EngineReady") == ("False", "Unschedulable")


@pytest.mark.parametrize(
    ("status", "known"),
    [(unscheduled(NO_L4), "NoMatchingNode"), (starting("build"), "BuildRunning")],
)
async def test_without_events_the_pod_says_what_it_can(status: dict[str, Any], known: str) -> None:
    world = await building()
    pod = world.pod_of(world.job("build"), status)
    say(world, pod, "cluster-autoscaler", "TriggeredScaleUp", "pod triggered scale-up: [{l4-pool 0->1 (max: 2)}]")
    forbidden = ForbiddenError("list events", Refusal(403, "Forbidden", "events is forbidden"))
    world.cluster.refuse = lambda verb, kind, _name: forbidden if (verb, kind) == ("list", "Event") else None

    world.advance(60)
    await world.reconcile()

    assert world.says("EngineReady") == ("False", known)


async def test_a_quota_of_gpus_is_named_with_its_remedy() -> None:
    world = await building()
    note = (
        'pods "build-1" is forbidden: exceeded quota: gpu-quota, requested: requests.nvidia.com/gpu=1, '
        "used: requests.nvidia.com/gpu=1, limited: requests.nvidia.com/gpu=1"
    )

    say(world, world.job("build"), "job-controller", "FailedCreate", note, type="Warning")
    await world.settle()

    assert world.says("EngineReady") == ("False", "QuotaExceeded")
    assert note in message(world)
    assert "raise ResourceQuota gpu-quota" in message(world)


@pytest.mark.parametrize(
    ("words", "tally"),
    [
        (NO_L4, {"node(s) had untolerated taint(s)": 1, "node(s) didn't match Pod's node affinity/selector": 2}),
        (
            "0/2 nodes are available: 1 node(s) had untolerated taint {example.com/a: b}, 1 Insufficient cpu.",
            {"node(s) had untolerated taint {example.com/a: b}": 1, "Insufficient cpu": 1},
        ),
        ("no nodes available to schedule pods", {}),
        ("Scheduling is blocked due to non-empty scheduling gates", {}),
    ],
)
def test_the_scheduler_s_reasons_are_counted_as_it_counts_them(words: str, tally: dict[str, int]) -> None:
    assert read_tally(words) == tally
