"""The cluster's side of the benchmark: namespaces, volumes for stores, EmbeddingModels, and whether they are Ready."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from kubernetes.aio import client

from hack.bench.fake_node import LABEL

GROUP, VERSION, PLURAL = "embedplane.io", "v1alpha1", "embeddingmodels"
Manifest = dict[str, Any]
PARALLEL = 16
REMOVAL_SECONDS = 600


class Stage:
    """Namespaces `<name>-0`, `<name>-1`, ... and what stands in them."""

    def __init__(self, api: client.ApiClient, name: str, namespaces: int) -> None:
        self._core, self._custom = client.CoreV1Api(api), client.CustomObjectsApi(api)
        self.name = name
        self.namespaces = [f"{name}-{number}" for number in range(namespaces)]

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[None]:
        """Make namespaces and volumes, and remove all of it at the end."""
        for namespace in [self.name, *self.namespaces]:
            await self._core.create_namespace({"metadata": {"name": namespace}})
        for namespace in self.namespaces:
            await self._core.create_persistent_volume(_volume(namespace, self.name))
        try:
            yield
        finally:
            await self._remove()

    async def _remove(self) -> None:
        """Children go by owner references while the fake kubelet still confirms their end."""
        names = [self.name, *self.namespaces]
        for namespace in names:
            await self._core.delete_namespace(namespace)
        deadline = time.monotonic() + REMOVAL_SECONDS
        while {item.metadata.name for item in (await self._core.list_namespace()).items} & set(names):
            if time.monotonic() > deadline:
                raise SystemExit(f"the namespaces {self.name}* are not gone after {REMOVAL_SECONDS} s")
            await asyncio.sleep(1)
        for namespace in self.namespaces:
            await self._core.delete_persistent_volume(namespace)

    async def create(self, count: int) -> None:
        """Make the models, spread over the namespaces, each with a source of its own."""
        await _at_once([partial(self._create, number) for number in range(count)])

    async def _create(self, number: int) -> None:
        body = _model(f"model-{number}", self.name)
        namespace = self.namespaces[number % len(self.namespaces)]
        await self._custom.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, body)

    async def states(self) -> list[str]:
        """Return the reason of each model's Ready condition; "Ready" where it is true."""
        found = await self._custom.list_cluster_custom_object(GROUP, VERSION, PLURAL)
        return [_state(item) for item in found["items"] if item["metadata"]["namespace"] in self.namespaces]


def _state(item: Manifest) -> str:
    conditions = (item.get("status") or {}).get("conditions") or ()
    ready = next((each for each in conditions if each["type"] == "Ready"), None)
    if ready is None:
        return "NotSeen"
    return "Ready" if ready["status"] == "True" else str(ready["reason"])


def _model(name: str, node: str) -> Manifest:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "EmbeddingModel",
        "metadata": {"name": name},
        "spec": {
            "source": {"huggingFace": {"repo": f"bench/{name}"}},
            "podTemplate": {
                "nodeSelector": {LABEL: node},
                "tolerations": [{"key": LABEL, "operator": "Exists", "effect": "NoSchedule"}],
            },
        },
    }


def _volume(namespace: str, storage_class: str) -> Manifest:
    return {
        "metadata": {"name": namespace},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": storage_class,
            "hostPath": {"path": "/nonexistent"},
            "claimRef": {"namespace": namespace, "name": "embedplane-store"},
        },
    }


async def _at_once(calls: list[Callable[[], Awaitable[None]]]) -> None:
    gate = asyncio.Semaphore(PARALLEL)

    async def one(call: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await call()

    await asyncio.gather(*(one(call) for call in calls))
