"""Worlds with several pools of accelerators, some of which have no room."""

from typing import Any

from embedplane_operator.kinds import Manifest
from embedplane_operator.settings import Settings
from tests.support.rendering import L4, settings_of
from tests.support.world import ENGINE, HUB, World, fetched, name_of

A10G = L4 | {
    "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-A10G"},
    "gpuName": "NVIDIA A10G",
    "computeCapability": "8.6",
}
T4 = L4 | {"nodeSelector": {"nvidia.com/gpu.product": "Tesla-T4"}, "gpuName": "Tesla T4", "computeCapability": "7.5"}
SPOT = L4 | {"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4", "example.com/capacity": "spot"}}
POOLS = {"l4": L4, "a10g": A10G, "t4": T4, "l4-spot": SPOT}
MINUTES = 60.0
WORDS = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu."


def pools() -> Settings:
    return settings_of(acceleratorProfiles=POOLS)


def on(*profiles: str, **more: Any) -> dict[str, Any]:
    """A spec that names profiles in order."""
    return HUB | {"accelerator": {"profiles": list(profiles)} | more}


async def building(spec: dict[str, Any]) -> World:
    """A model whose engine is about to be built."""
    world = World(pools())
    world.model(spec)
    await world.settle()
    await exported(world)
    return world


async def exported(world: World) -> None:
    """The fetch says that the store has an export, and no engine of the profile in use."""
    world.finish("fetch", fetched(exportKeys={"onnx": "x" * 64}))
    await world.settle()


async def built(world: World) -> None:
    """The engine of the profile in use is built, and servers of it are wanted."""
    world.finish("build", ENGINE | {"key": profile_in_use(world)[-1] * 64, "backend": "tensorrt"})
    await world.settle()


async def serving(spec: dict[str, Any]) -> World:
    world = await building(spec)
    await built(world)
    server(world)
    world.make_ready()
    await world.settle()
    return world


async def waiting_for_a_build(spec: dict[str, Any], minutes: float = 0) -> World:
    """A model whose build has waited so long for a node."""
    world = await building(spec)
    lacks_node(world)
    await world.settle()
    await passing(world, minutes)
    return world


async def fallen_back(spec: dict[str, Any]) -> World:
    """A model that gave its first profile up, and builds on the second."""
    world = await waiting_for_a_build(spec, 15)
    await exported(world)
    return world


async def passing(world: World, minutes: float) -> None:
    world.advance(minutes * MINUTES)
    await world.settle()


def no_node(world: World) -> Manifest:
    """What a pod says from now on that no node takes."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": WORDS}
    return {"phase": "Pending", "conditions": [condition | {"lastTransitionTime": world.now.isoformat()}]}


def lacks_node(world: World) -> None:
    """The build's pod finds no node from now on."""
    world.pod_of(world.job("build"), no_node(world))


def server(world: World, name: str = "server", status: Manifest | None = None) -> None:
    """A server of the newest template; without a status it runs."""
    labels = world.deployment()["spec"]["template"]["metadata"]["labels"]
    metadata = {"name": name, "namespace": "search", "labels": labels, "creationTimestamp": world.now.isoformat()}
    status = status or {"phase": "Running", "conditions": [{"type": "PodScheduled", "status": "True"}]}
    world.cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}, "status": status})


def profile_in_use(world: World) -> str:
    return str(world.status["accelerator"]["profile"])


def nodes_of(manifest: Manifest) -> dict[str, str]:
    """The nodes that pods of a Job or a Deployment may run on."""
    selector: dict[str, str] = manifest["spec"]["template"]["spec"]["nodeSelector"]
    return selector


def events(world: World, reason: str) -> list[str]:
    return [each["note"] for each in world.cluster.all("Event") if each["reason"] == reason]


def state(world: World) -> dict[str, Any]:
    """What counts once all is quiet, without times."""
    return {
        "profile": profile_in_use(world),
        "jobs": sorted(name_of(job) for job in world.jobs()),
        "nodes": [nodes_of(each) for each in (*world.jobs("build"), *world.cluster.all("Deployment"))],
        "engine": (world.status.get("engine") or {}).get("key"),
        "conditions": [world.says(kind) for kind in ("Ready", "EngineReady", "Available")],
    }
