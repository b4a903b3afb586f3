"""Plays the kubelet for pods that no node takes: ends Jobs and readies servers by writing pod status.

Everything else is real: API server, scheduler, Job and Deployment controllers, garbage collector. Models made with
`unscheduled` ask for a node that does not exist, so no real kubelet interferes.
"""

import json
from dataclasses import dataclass
from typing import Any

from tests.support.kubectl import Kubectl, KubectlError, Manifest, is_going
from tests.support.models import embedding_model
from tests.support.waiting import wait_for

NOWHERE = {"example.com/nowhere": "true"}
ENDED = ("Succeeded", "Failed")
ENDED_AT = "2026-11-23T12:00:00Z"


def unscheduled(name: str, namespace: str, **spec: Any) -> Manifest:
    """An EmbeddingModel whose pods stay without a node."""
    template = {"nodeSelector": NOWHERE, **spec.pop("podTemplate", {})}
    return embedding_model(name, namespace, podTemplate=template, **spec)


def is_rolled_out(deployment: Manifest) -> bool:
    """All wanted pods of a Deployment are of its newest template and ready, and none are left of an older one."""
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    is_seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    counts = (status.get(each, 0) for each in ("replicas", "updatedReplicas", "readyReplicas"))
    return is_seen and all(each == wanted for each in counts)


@dataclass(frozen=True)
class FakeKubelet:
    """Runs the pods of one namespace in name only."""

    kubectl: Kubectl

    def job(self, step: str) -> Manifest:
        """Wait for the one Job of a step that has not ended."""
        return wait_for(f"a {step} Job runs", lambda: self._running(step), explain=self._explain)

    def finish(self, step: str, result: dict[str, Any]) -> None:
        """The step's Job ends well and answers."""
        wait_for(f"the pod of a {step} Job ends", lambda: self.finish_any(step, result), explain=self._explain)

    def finish_any(self, step: str, result: dict[str, Any]) -> bool:
        """The same at once; False while there is no such Job, or no pod of it."""
        return self._end(step, 0, {"result": result})

    def fail(self, step: str, reason: str, message: str, exit_code: int = 64) -> None:
        """The step's Job fails and says why."""
        said = {"error": {"reason": reason, "message": message}}
        wait_for(f"the pod of a {step} Job fails", lambda: self._end(step, exit_code, said), explain=self._explain)

    def ready(self, model: str) -> None:
        """All server pods of a model take requests, also those that a rollout under way has yet to start."""
        selector = f"embedplane.io/model={model}"

        def are_ready() -> bool:
            for pod in self.kubectl.list("pods", f"{selector},app.kubernetes.io/component=server"):
                if not is_going(pod):
                    self._serve(pod)
            deployments = self.kubectl.list("deployments", selector)
            return bool(deployments) and all(is_rolled_out(each) for each in deployments)

        wait_for(
            f"the servers of {model} are ready",
            are_ready,
            explain=lambda: json.dumps(self.kubectl.list("deployments", selector)),
        )

    def _serve(self, pod: Manifest) -> None:
        state = {"running": {"startedAt": ENDED_AT}}
        conditions = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "ContainersReady", "Ready")]
        self._write(pod, "Running", state, conditions=conditions, is_ready=True)

    def create_container(self, pod: Manifest) -> None:
        """A node took the pod, and what its container needs is being fetched."""
        scheduled = [{"type": "PodScheduled", "status": "True"}]
        self._write(pod, "Pending", {"waiting": {"reason": "ContainerCreating"}}, conditions=scheduled)

    def _running(self, step: str) -> Manifest | None:
        jobs = self.kubectl.list("jobs", f"app.kubernetes.io/component={step}")
        running = (job for job in jobs if not job["status"].get("conditions") and not is_going(job))
        return next(running, None)

    def _explain(self) -> str:
        return json.dumps(self.kubectl.list("jobs"))

    def _end(self, step: str, exit_code: int, said: dict[str, Any]) -> bool:
        ended = {
            "exitCode": exit_code,
            "reason": "Error" if exit_code else "Completed",
            "message": json.dumps(said),
            "startedAt": ENDED_AT,
            "finishedAt": ENDED_AT,
        }
        if (job := self._running(step)) is None:
            return False
        pods = self.kubectl.list("pods", f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}")
        phase = "Failed" if exit_code else "Succeeded"
        unended = (pod for pod in pods if pod["status"]["phase"] not in ENDED and not is_going(pod))
        return any(self._write(pod, phase, {"terminated": ended}) for pod in unended)

    def _write(
        self,
        pod: Manifest,
        phase: str,
        state: Manifest,
        *,
        conditions: list[Manifest] | None = None,
        is_ready: bool = False,
    ) -> bool:
        """Write a pod's status; False when the pod went since it was seen, as pods may."""
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
        try:
            self.kubectl.patch("pod", pod["metadata"]["name"], {"status": status}, "--subresource=status")
        except KubectlError as refused:
            if "NotFound" not in str(refused):
                raise
            return False
        return True
