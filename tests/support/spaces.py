"""Worlds with several vector spaces: each spec leads to one, and its engine is in the store already."""

from typing import Any

from embedplane_operator.kinds import Manifest
from tests.support.world import ENGINE, HUB, SPACE_A, SPACE_B, World, fetched

SPACE_C = "vs1-cccccccc000000000000"
BESIDE: dict[str, Any] = HUB | {"vectorSpacePolicy": "SideBySide", "scaling": {"minReplicas": 1, "maxReplicas": 4}}
EMBEDDINGS: dict[str, dict[str, Any]] = {
    SPACE_A: {},
    SPACE_B: {"pooling": "cls"},
    SPACE_C: {"maxSequenceLength": 128},
}
HOUR = 3600.0


def leading_to(space: str, **more: Any) -> dict[str, Any]:
    """A spec that leads to a space; `activeVectorSpace` and the like as keywords."""
    return BESIDE | {"embedding": EMBEDDINGS[space]} | more


async def ask_for(world: World, space: str, **more: Any) -> None:
    """The user writes a spec; the fetch answers, where it is asked."""
    world.model(leading_to(space, **more))
    await world.settle()
    if world.jobs("fetch"):
        pooling = EMBEDDINGS[space].get("pooling", "mean")
        answer = fetched(space, engine=ENGINE | {"key": space[4:12] * 8})
        answer["vectorSpace"] |= {"pooling": pooling}
        world.finish("fetch", answer)
        await world.settle()


async def start(world: World, space: str, ready: int = 1) -> None:
    """So many servers of a space take requests."""
    deployment = deployment_of(world, space)
    status = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), ready),
    }
    spec = deployment["spec"] | {"replicas": ready}
    world.cluster.put({**deployment, "spec": spec, "status": status})
    await world.settle()


async def serving(space: str = SPACE_A, ready: int = 1, **more: Any) -> World:
    """A model whose first space is served."""
    world = World()
    await ask_for(world, space, **more)
    await start(world, space, ready)
    return world


async def with_candidate(ready: int = 1, **more: Any) -> World:
    """A is active, B its candidate."""
    world = await serving(ready=ready)
    world.advance(60)
    await ask_for(world, SPACE_B, **more)
    return world


async def cut_over(ready: int = 1) -> World:
    """B is active, A retires."""
    world = await with_candidate(ready)
    await start(world, SPACE_B, ready)
    await ask_for(world, SPACE_B, activeVectorSpace=SPACE_B)
    return world


def deployment_of(world: World, space: str) -> Manifest:
    found = world.cluster.find("Deployment", f"minilm-{space[4:12]}")
    assert found is not None, [each["metadata"]["name"] for each in world.cluster.all("Deployment")]
    return found


def alive(world: World) -> set[str]:
    """The spaces that have a Deployment."""
    return {each["metadata"]["annotations"]["embedplane.io/vector-space"] for each in world.cluster.all("Deployment")}


def served_by(world: World, name: str = "minilm") -> str | None:
    """The space that a Service leads to; None when there is no such Service."""
    service = world.cluster.find("Service", name)
    return service["spec"]["selector"]["embedplane.io/vector-space"] if service else None


def roles(world: World) -> dict[str, str]:
    """What the status says of each space."""
    return {each["id"]: each["role"] for each in world.status.get("vectorSpaces", [])}


def noted(world: World) -> dict[str, str | None]:
    """What the Deployments remember."""
    found = [each["metadata"]["annotations"] for each in world.cluster.all("Deployment")]
    return {each["embedplane.io/vector-space"]: each.get("embedplane.io/role") for each in found}


def lose_status(world: World) -> None:
    model = world.cluster.find("EmbeddingModel", "minilm")
    assert model is not None
    world.cluster.put({**model, "status": {}})
