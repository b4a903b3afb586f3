"""Plays the kubelet for pods that no node takes: ends Jobs and readies servers by writing pod status.

Everything else is real: API server, scheduler, Job and Deployment controllers, garbage collector. Models made with
`unscheduled` ask for a node that does not exist, so no real kubelet interferes.
"""

import json
from dataclasses import dataclass
from typing import Any

from tests.support.kubectl import Kubectl, Manifest
from tests.support.models import embedding_model
from tests.support.waiting import wait_for

NOWHERE = {"example.com/nowhere": "true"}
ENDED_AT = "2026-11-23T12:00:00Z"


def unscheduled(name: str, namespace: str, **spec: Any) -> Manifest:
    """An EmbeddingModel whose pods stay without a node."""
    template = {"nodeSelector": NOWHERE, **spec.pop("podTemplate", {})}
    return embedding_model(name, namespace, podTemplate=template, **spec)


@dataclass(frozen=True)
class FakeKubelet:
    """Runs the pods of one namespace in name only."""

    kubectl: Kubectl

    def job(self, step: str, within: float = 60) -> Manifest:
        """Wait for the one Job of a step that has not ended."""

        def look() -> Manifest | None:
            jobs = self.kubectl.list("jobs", f"app.kubernetes.io/component={step}")
            running = [job for job in jobs if not job["status"].get("conditions")]
            return running[0] if running else None

        return wait_for(
            f"a {step} Job runs", look, within=within, explain=lambda: json.dumps(self.kubectl.list("jobs"))
        )

    def finish(self, step: str, result: dict[str, Any]) -> None:
        """The step's Job ends well and answers."""
        self._end(self.job(step), 0, {"result": result})

    def fail(self, step: str, reason: str, message: str, exit_code: int = 64) -> None:
        """The step's Job fails and says why."""
        self._end(self.job(step), exit_code, {"error": {"reason": reason, "message": message}})

    def ready(self, model: str) -> None:
        """All server pods of a model take requests."""

        def pods() -> list[Manifest]:
            return self.kubectl.list("pods", f"embedplane.io/model={model},app.kubernetes.io/component=server")

        for pod in wait_for(f"{model} has server pods", pods):
            state = {"running": {"startedAt": ENDED_AT}}
            conditions = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "ContainersReady", "Ready")]
            self._write(pod, "Running", state, conditions=conditions, is_ready=True)

    def create_container(self, pod: Manifest) -> None:
        """A node took the pod, and what its container needs is being fetched."""
        scheduled = [{"type": "PodScheduled", "status": "True"}]
        self._write(pod, "Pending", {"waiting": {"reason": "ContainerCreating"}}, conditions=scheduled)

    def _end(self, job: Manifest, exit_code: int, said: dict[str, Any]) -> None:
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]

        def look() -> Manifest | None:
            pods = self.kubectl.list("pods", f"batch.kubernetes.io/controller-uid={uid}")
            return pods[0] if pods else None

        pod = wait_for(f"Job {name} has a pod", look)
        ended = {
            "exitCode": exit_code,
            "reason": "Error" if exit_code else "Completed",
            "message": json.dumps(said),
            "startedAt": ENDED_AT,
            "finishedAt": ENDED_AT,
        }
        self._write(pod, "Failed" if exit_code else "Succeeded", {"terminated": ended})

    def _write(
        self,
        pod: Manifest,
        phase: str,
        state: Manifest,
        *,
        conditions: list[Manifest] | None = None,
        is_ready: bool = False,
    ) -> None:
        container = pod["spec"]["containers"][0]
        status: Manifest = {
            "phase": phase,
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": is_ready,
                    "restartCount": 0,
                    "state": state,
                }
            ],
        }
        if conditions:
            status["conditions"] = conditions
        self.kubectl.patch("pod", pod["metadata"]["name"], {"status": status}, "--subresource=status")
