"""Pods on an L4 pool that do not start yet, and what schedulers, autoscalers and kubelets say about them."""

from typing import Any

from tests.support.world import HUB, World, fetched, name_of

ON_L4: dict[str, Any] = HUB | {"accelerator": {"profile": "nvidia-l4"}}
NO_L4 = (
    "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 node(s) didn't match Pod's node affinity/selector. "
    "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)
L4_TAKEN = (
    "0/3 nodes are available: 1 Insufficient cpu, 1 Insufficient nvidia.com/gpu, 2 node(s) didn't match Pod's node "
    "affinity/selector. no new claims to deallocate, preemption: 0/3 nodes are available: 1 No preemption victims "
    "found for incoming pod, 2 Preemption is not helpful for scheduling."
)
PULLING = 'Pulling image "server-gpu:1"'


async def building(spec: dict[str, Any] | None = None) -> World:
    """A model whose build Job was just made."""
    world = World()
    world.model(spec or ON_L4)
    await world.settle()
    world.finish("fetch", fetched(exportKeys={"onnx": "x" * 64}))
    await world.settle()
    return world


def unscheduled(words: str) -> dict[str, Any]:
    """The status of a pod that no node takes."""
    return {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": words}]}


def starting(container: str, image: str = "server-gpu:1") -> dict[str, Any]:
    """The status of a pod that has a node, and no container yet."""
    waiting = {"name": container, "image": image, "state": {"waiting": {"reason": "ContainerCreating"}}}
    scheduled = [{"type": "PodScheduled", "status": "True"}]
    return {"phase": "Pending", "conditions": scheduled, "containerStatuses": [waiting]}


def say(world: World, about: dict[str, Any], who: str, reason: str, note: str, **more: Any) -> None:
    """An Event about a pod, as the recorder of client-go writes it: times in whole seconds, the source deprecated."""
    moment = world.now.isoformat()
    regarding = {"uid": about["metadata"]["uid"], "name": name_of(about)}
    if container := more.pop("container", None):
        regarding["fieldPath"] = f"spec.containers{{{container}}}"
    world.cluster.put(
        {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{name_of(about)}.{len(world.cluster.objects)}", "namespace": "search"},
            "type": "Normal",
            "reason": reason,
            "note": note,
            "regarding": regarding,
            "eventTime": None,
            "reportingController": who,
            "deprecatedSource": {"component": who},
            "deprecatedFirstTimestamp": moment,
            "deprecatedLastTimestamp": moment,
            **more,
        }
    )


def server_pod(world: World, status: dict[str, Any], name: str = "a") -> dict[str, Any]:
    """A pod of the Deployment in some state."""
    deployment = world.deployment()
    template = deployment["spec"]["template"]
    metadata = {
        "name": f"{name_of(deployment)}-{name}",
        "namespace": "search",
        "labels": template["metadata"]["labels"],
        "creationTimestamp": world.now.isoformat(),
    }
    spec = {**template["spec"], "nodeName": "l4-1"}
    return world.cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})


def message(world: World, kind: str = "EngineReady") -> str:
    return str((world.condition(kind) or {})["message"])


def events_of(world: World) -> list[tuple[str, str]]:
    """Type and reason of the Events about the model."""
    told = [event for event in world.cluster.all("Event") if event["regarding"].get("kind") == "EmbeddingModel"]
    return [(event["type"], event["reason"]) for event in told]
