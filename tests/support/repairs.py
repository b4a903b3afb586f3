"""Worlds whose servers have no engine to load, and the autoscaler that looks at them."""

import json
from typing import Any

from embedplane_operator.autoscale.demand import DemandQueries
from embedplane_operator.autoscale.loop import AutoscaleLoop, Outlets
from embedplane_operator.scalables import ServerScales
from tests.support.world import ENGINE, World, fetched

OLD_CPU, OTHER_CPU = "x86-64-avx2", "arm64-baseline"
IN_STORE = {"exportKeys": {"openvino": "x" * 64}, "engine": ENGINE}
"""What a fetch says while the store has a variant of the engine, only not one that fits."""


def complain(
    world: World,
    machine: str | None = None,
    key: str = ENGINE["key"],
    node: str = "node-1",
    reason: str = "EngineMissing",
) -> None:
    """A server ends because the engine is missing or damaged, or because no variant fits its machine."""
    reason, about = ("EngineIncompatible", {"machine": machine}) if machine else (reason, {})
    said = json.dumps({"error": {"reason": reason, "message": "nothing to load.", "engine": key, **about}})
    ended = {"exitCode": 66, "message": said, "finishedAt": world.now.isoformat()}
    world.server_pod({"restartCount": 1, "lastState": {"terminated": ended}}, node)


async def failing(
    machine: str | None = None, spec: dict[str, Any] | None = None, reason: str = "EngineMissing"
) -> World:
    """A model that served, until all its servers started anew and found nothing to load."""
    world = World()
    await world.serve(spec)
    world.make_ready(0)
    deployment = world.deployment()
    world.cluster.put({**deployment, "spec": {**deployment["spec"], "replicas": 1}})
    world.advance(3600)
    complain(world, machine, reason=reason)
    await world.settle()
    return world


async def rebuild(world: World, **build: Any) -> None:
    """Fetch, and what follows from its answer, until an engine is built."""
    world.advance(30)
    world.finish("fetch", fetched(**IN_STORE))
    await world.settle()
    world.advance(30)
    world.finish("build", ENGINE | build)
    await world.settle()


async def scale(world: World) -> int:
    """One tick of the autoscaler; the replicas after it, and no pods of those that went."""
    loop = AutoscaleLoop(
        ServerScales(world.cluster, world.settings), None, DemandQueries(), Outlets(world.reports, lambda _key: None)
    )
    await loop.tick(0.0)
    replicas = int(world.deployment()["spec"]["replicas"])
    if not replicas:
        world.lose_pods("server")
    return replicas
