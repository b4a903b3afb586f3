"""A node without a kubelet: pods that the scheduler puts there run, end and disappear by patches of their status.

Everything above is real: the API server, the scheduler and the controllers of Jobs, Deployments and claims.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from kubernetes.aio import client, watch

Pod = dict[str, Any]
LABEL = "bench.embedplane.io/node"
MERGE = "application/merge-patch+json"
HEARTBEAT_SECONDS = 10


class FakeNode:
    """One tainted node of the given name; `answer` says what a Job's pod reports."""

    def __init__(self, api: client.ApiClient, name: str, answer: Callable[[Pod], str]) -> None:
        self._core, self._coordination = client.CoreV1Api(api), client.CoordinationV1Api(api)
        self._api, self._name, self._answer = api, name, answer
        self._addresses = itertools.count(1)
        self._todo: asyncio.Queue[Pod] = asyncio.Queue()
        self._done: set[tuple[str, str]] = set()

    @asynccontextmanager
    async def running(self, workers: int = 16) -> AsyncIterator[None]:
        """Register the node and play its kubelet for the length of a block."""
        await self._register()
        tasks = [
            asyncio.create_task(work) for work in (self._beat(), self._watch(), *(self._work() for _ in range(workers)))
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._core.delete_node(self._name)

    async def _register(self) -> None:
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self._name, "labels": {LABEL: self._name, "kubernetes.io/hostname": self._name}},
            "spec": {"taints": [{"key": LABEL, "value": self._name, "effect": "NoSchedule"}]},
        }
        try:
            await self._core.create_node(node)
        except client.ApiException as error:
            if error.status != 409:
                raise
        await self._report()

    async def _report(self) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        room = {"cpu": "100k", "memory": "1000Ti", "pods": "100000", "ephemeral-storage": "1000Ti"}
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "Bench",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        status = {"capacity": room, "allocatable": room, "conditions": [ready]}
        await self._core.patch_node_status(self._name, {"status": status}, _content_type=MERGE)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await self._report()

    async def _watch(self) -> None:
        """Put every pod of the node into the queue whenever it changes; a watch that ends begins anew."""
        while True:
            try:
                stream = watch.Watch().stream(
                    self._core.list_pod_for_all_namespaces,
                    field_selector=f"spec.nodeName={self._name}",
                    timeout_seconds=300,
                )
                async for event in stream:
                    if event["type"] != "DELETED":
                        self._todo.put_nowait(event["raw_object"])
            except (client.ApiException, OSError, TimeoutError):
                await asyncio.sleep(1)

    async def _work(self) -> None:
        while True:
            pod = await self._todo.get()
            try:
                await self._play(pod)
            except client.ApiException as error:
                if error.status not in {404, 409}:
                    self._todo.put_nowait(pod)
                    await asyncio.sleep(0.5)

    async def _play(self, pod: Pod) -> None:
        metadata = pod["metadata"]
        name, namespace = metadata["name"], metadata["namespace"]
        if metadata.get("deletionTimestamp"):
            await self._core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
            return
        status = self._ended(pod) if pod["spec"].get("restartPolicy") == "Never" else self._serving(pod)
        if (metadata["uid"], status["phase"]) in self._done:
            return
        await self._core.patch_namespaced_pod_status(name, namespace, {"status": status}, _content_type=MERGE)
        self._done.add((metadata["uid"], status["phase"]))

    def _ended(self, pod: Pod) -> Pod:
        now = _now()
        end = {"exitCode": 0, "reason": "Completed", "message": self._answer(pod), "startedAt": now, "finishedAt": now}
        return {
            "phase": "Succeeded",
            "startTime": now,
            "containerStatuses": _containers(pod, {"terminated": end}, ready=False),
        }

    def _serving(self, pod: Pod) -> Pod:
        now, number = _now(), next(self._addresses)
        address = f"10.{200 + number // 65536}.{number // 256 % 256}.{number % 256}"
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": now}
            for kind in ("Initialized", "ContainersReady", "Ready")
        ]
        return {
            "phase": "Running",
            "startTime": now,
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [*(pod["status"].get("conditions") or ()), *conditions],
            "containerStatuses": _containers(pod, {"running": {"startedAt": now}}, ready=True),
        }


def _containers(pod: Pod, state: dict[str, Any], *, ready: bool) -> list[dict[str, Any]]:
    return [
        {
            "name": each["name"],
            "image": each["image"],
            "imageID": each["image"],
            "ready": ready,
            "started": ready,
            "restartCount": 0,
            "state": state,
        }
        for each in pod["spec"]["containers"]
    ]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
