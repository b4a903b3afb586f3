"""One EmbeddingModel, a reconciler and an API server in memory; the test plays kubelet, controllers and time."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from embedplane_operator.autoscale.report import ScalingReports
from embedplane_operator.events import Recorder
from embedplane_operator.index import ModelIndex
from embedplane_operator.kinds import Manifest
from embedplane_operator.metrics import Metrics
from embedplane_operator.reconcile import Channels, Reconciler
from embedplane_operator.settings import Settings
from embedplane_operator.workqueue import Key
from tests.support.fake_cluster import FakeCluster
from tests.support.rendering import settings_of

SPACE_A = "vs1-aaaaaaaa000000000000"
SPACE_B = "vs1-bbbbbbbb000000000000"
HUB: dict[str, Any] = {"source": {"huggingFace": {"repo": "acme/embed", "revision": "main"}}}

ENGINE: dict[str, Any] = {
    "key": "e" * 64,
    "variant": "cpu",
    "backend": "openvino",
    "backendVersion": "2026.4.1",
    "precision": "bfloat16",
    "maxBatchTokens": 2048,
    "conformance": {"texts": 64, "minimumCosine": 0.9998, "meanCosine": 0.9999},
    "benchmark": {"tokensPerSecond": 27000.5, "batchTokens": 2048},
    "builtAt": "2026-11-23T10:00:00Z",
}


def fetched(space: str = SPACE_A, commit: str = "c" * 40, **more: Any) -> dict[str, Any]:
    """What a fetch Job answers; `exportKeys` and `engine` say what the store has already."""
    return {
        "commit": commit,
        "digest": "d" * 64,
        "sizeBytes": 90_000_000,
        "architecture": "BertModel",
        "vectorSpace": {
            "id": space,
            "dimensions": 384,
            "pooling": "mean",
            "normalized": True,
            "maxSequenceLength": 256,
            "similarity": "cosine",
            "prompts": [],
        },
        "exportKeys": {},
        **more,
    }


@dataclass
class World:
    """A namespace `search` with one model `minilm`."""

    settings: Settings = field(default_factory=settings_of)
    cluster: FakeCluster = field(default_factory=FakeCluster)
    now: datetime = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
    name: str = "minilm"

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, settings: Settings | None = None) -> None:
        """Another operator process: nothing of the old one's memory is left."""
        self.settings = settings or self.settings
        self.reports, self.index = ScalingReports(), ModelIndex()
        channels = Channels(self.index, self.reports, Recorder(self.cluster, "operator-0"), Metrics())
        self.reconciler = Reconciler(self.cluster, self.settings, channels, lambda: self.now)

    def model(self, spec: dict[str, Any] | None = None, **metadata: Any) -> Manifest:
        """Creates the model, or changes its spec as a user would: the generation goes up."""
        known = self.cluster.find("EmbeddingModel", self.name)
        body: Manifest = known or {
            "apiVersion": "embedplane.io/v1alpha1",
            "kind": "EmbeddingModel",
            "metadata": {"name": self.name, "namespace": "search", "uid": f"uid-of-{self.name}", "generation": 0},
        }
        wanted = spec or body.get("spec") or HUB
        generation = body["metadata"]["generation"] + (wanted != body.get("spec"))
        return self.cluster.put(
            {**body, "metadata": {**body["metadata"], "generation": generation, **metadata}, "spec": wanted}
        )

    async def reconcile(self) -> float | None:
        """One reconcile; the seconds until the next."""
        return await self.reconciler.reconcile(Key("search", self.name))

    async def settle(self) -> float | None:
        """Reconciles until nothing changes any more, as the events of its own writes would make it."""
        for _ in range(10):
            before = {name: stored["metadata"]["resourceVersion"] for name, stored in self.cluster.objects.items()}
            again = await self.reconcile()
            if before == {name: stored["metadata"]["resourceVersion"] for name, stored in self.cluster.objects.items()}:
                return again
        raise AssertionError("the reconciler changes something every time")

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @property
    def status(self) -> dict[str, Any]:
        found = self.cluster.find("EmbeddingModel", self.name)
        assert found is not None
        status: dict[str, Any] = found.get("status") or {}
        return status

    def condition(self, kind: str) -> dict[str, Any] | None:
        return next((each for each in self.status.get("conditions", []) if each["type"] == kind), None)

    def says(self, kind: str) -> tuple[str, str] | None:
        """Status and reason of a condition."""
        found = self.condition(kind)
        return (found["status"], found["reason"]) if found else None

    def jobs(self, step: str | None = None) -> list[Manifest]:
        found = self.cluster.all("Job")
        return [job for job in found if step in (None, job["metadata"]["labels"]["app.kubernetes.io/component"])]

    def job(self, step: str) -> Manifest:
        (found,) = self.jobs(step)
        return found

    def deployment(self) -> Manifest:
        (found,) = self.cluster.all("Deployment")
        return found

    def environment(self, manifest: Manifest) -> dict[str, str]:
        (container,) = manifest["spec"]["template"]["spec"]["containers"]
        return {each["name"]: each["value"] for each in container["env"] if "value" in each}

    def pod_of(self, job: Manifest, status: Manifest) -> Manifest:
        """Gives a Job a pod in some state; the one before goes."""
        for stale in [
            pod for pod in self.cluster.all("Pod") if pod["metadata"]["labels"].get(JOB_LABEL) == name_of(job)
        ]:
            del self.cluster.objects["Pod", "search", stale["metadata"]["name"]]
        labels = {**job["spec"]["template"]["metadata"]["labels"], JOB_LABEL: name_of(job)}
        metadata = {
            "name": f"{name_of(job)}-pod",
            "namespace": "search",
            "labels": labels,
            "creationTimestamp": self.now.isoformat(),
            "ownerReferences": [{"kind": "Job", "name": name_of(job), "uid": job["metadata"]["uid"]}],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": job["spec"]["template"]["spec"]}
        return self.cluster.put({**pod, "status": status})

    def finish(self, step: str, result: dict[str, Any]) -> None:
        """The step's Job ends well and answers."""
        self.end(self.job(step), {"result": result})

    def end(self, job: Manifest, said: dict[str, Any]) -> None:
        """A Job ends well with some termination message."""
        self._end(job, {"exitCode": 0, "reason": "Completed", "message": json.dumps(said)}, "Complete")

    def fail(self, step: str, reason: str, message: str = "what is wrong", *, exit_code: int = 64) -> None:
        """The step's Job fails and says why."""
        self.break_off(self.job(step), reason, message, exit_code)

    def break_off(self, job: Manifest, reason: str, message: str = "what is wrong", exit_code: int = 65) -> None:
        """A Job fails and says why."""
        said = json.dumps({"error": {"reason": reason, "message": message}})
        self._end(job, {"exitCode": exit_code, "reason": "Error", "message": said}, "Failed")

    def kill(self, step: str, ended: Manifest) -> None:
        """The step's Job fails as the kubelet reports it."""
        self._end(self.job(step), ended, "Failed")

    def lose_pods(self, component: str | None = None) -> None:
        for pod in self.cluster.all("Pod"):
            if component in (None, pod["metadata"]["labels"]["app.kubernetes.io/component"]):
                del self.cluster.objects["Pod", "search", pod["metadata"]["name"]]

    def server_pod(self, container: Manifest, node: str = "node-1") -> None:
        """A pod of the Deployment whose container is in some state."""
        deployment = self.deployment()
        metadata = {
            "name": f"{name_of(deployment)}-pod",
            "namespace": "search",
            "labels": deployment["spec"]["template"]["metadata"]["labels"],
            "creationTimestamp": self.now.isoformat(),
        }
        status = {"phase": "Running", "containerStatuses": [{"name": "server", "ready": False, **container}]}
        spec = {"nodeName": node}
        self.cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})

    def make_ready(self, replicas: int = 1) -> None:
        """The Deployment's newest template is rolled out."""
        deployment = self.deployment()
        deployment["spec"].setdefault("replicas", replicas)
        status = {
            "observedGeneration": deployment["metadata"].get("generation", 0),
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas,
        }
        self.cluster.put({**deployment, "status": status})

    def _end(self, job: Manifest, terminated: Manifest, condition: str) -> None:
        finished = self.now.isoformat()
        state = {"terminated": {**terminated, "finishedAt": finished}}
        phase = "Succeeded" if condition == "Complete" else "Failed"
        self.pod_of(job, {"phase": phase, "containerStatuses": [{"name": "x", "state": state}]})
        conditions = [{"type": condition, "status": "True", "lastTransitionTime": finished}]
        self.cluster.put({**job, "status": {"conditions": conditions}})

    async def serve(self, spec: dict[str, Any] | None = None) -> None:
        """The whole way: fetched, exported, built, rolled out."""
        self.model(spec)
        await self.settle()
        self.finish("fetch", fetched())
        await self.settle()
        self.finish("export", {"exportKey": "x" * 64, "texts": 64})
        await self.settle()
        self.finish("build", ENGINE)
        await self.settle()
        self.make_ready()
        await self.settle()


JOB_LABEL = "batch.kubernetes.io/job-name"


def name_of(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])
