"""Worlds that are about to meet trouble, and the warnings that Kubernetes gives."""

from typing import Any

from tests.support.world import ENGINE, World, fetched, name_of

TOKEN = {"source": {"huggingFace": {"repo": "acme/gated", "tokenSecretRef": {"name": "hub-token"}}}}
CLAIM = {"source": {"persistentVolumeClaim": {"claimName": "models"}}}


async def fetching(spec: dict[str, Any] | None = None) -> World:
    world = World()
    world.model(spec)
    await world.settle()
    return world


async def serving_not_ready() -> World:
    world = await fetching()
    world.finish("fetch", fetched(engine=ENGINE))
    await world.settle()
    return world


def warning(world: World, about: dict[str, Any], note: str, reason: str = "Failed") -> None:
    metadata = {"name": f"{name_of(about)}.{len(world.cluster.objects)}", "namespace": "search"}
    regarding = {"uid": about["metadata"]["uid"], "name": name_of(about)}
    event = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": metadata, "type": "Warning"}
    world.cluster.put(
        {**event, "reason": reason, "note": note, "regarding": regarding, "eventTime": world.now.isoformat()}
    )
