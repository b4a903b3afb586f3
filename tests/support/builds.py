"""Several models of one installation that need a build each, and whose turn it is."""

import asyncio
from typing import Any

from embedplane_operator.kinds import Manifest, Resource
from embedplane_operator.settings import Settings
from tests.support.fake_cluster import FakeCluster
from tests.support.rendering import settings_of
from tests.support.world import ENGINE, World, fetched, name_of


def bound_to(builds: int | None) -> Settings:
    return settings_of(jobs={"maxConcurrentBuilds": builds})


def neighbour(world: World, name: str) -> World:
    """Another model of the same namespace, looked after by a reconciler of its own."""
    return World(world.settings, world.cluster, world.now, name)


def spec_of(name: str, **spec: Any) -> dict[str, Any]:
    return {"source": {"huggingFace": {"repo": f"acme/{name}", "revision": "main"}}, **spec}


async def about_to_build(world: World, **spec: Any) -> World:
    """The model's files are exported; nothing is in the way of its build but other builds."""
    world.model(spec_of(world.name, **spec))
    await world.settle()
    (fetch,) = [job for job in world.jobs("fetch") if name_of(job).startswith(f"{world.name}-fetch-")]
    export = f"export-of-{world.name}"
    world.end(fetch, {"result": fetched(exportKeys={"openvino": export, "onnx": export})})
    await world.settle()
    return world


def builders(world: World) -> list[str]:
    """The models whose builds run."""
    running = [job for job in world.jobs("build") if not (job.get("status") or {}).get("conditions")]
    return [owner["name"] for job in running for owner in job["metadata"]["ownerReferences"]]


def end_build(world: World) -> None:
    """The build of this model ends well."""
    (job,) = [job for job in world.jobs("build") if world.name in _owners(job)]
    world.end(job, {"result": ENGINE})


def fail_build(world: World, reason: str) -> None:
    """The build of this model fails for a while."""
    (job,) = [job for job in world.jobs("build") if world.name in _owners(job)]
    world.break_off(job, reason)


def _owners(job: Manifest) -> list[str]:
    return [owner["name"] for owner in job["metadata"]["ownerReferences"]]


class UnhurriedCluster(FakeCluster):
    """Lets others run before each answer, as a real one does."""

    async def list(
        self, resource: Resource, namespace: str | None, labels: str = "", fields: str = ""
    ) -> tuple[Manifest, ...]:
        await asyncio.sleep(0)
        found = await super().list(resource, namespace, labels, fields)
        await asyncio.sleep(0)
        return found

    async def create(self, manifest: Manifest, within: float | None = None) -> Manifest:
        await asyncio.sleep(0)
        return await super().create(manifest, within)
