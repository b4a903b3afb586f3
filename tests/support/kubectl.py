"""The cluster as a user sees it: kubectl, with JSON in and out."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.support.waiting import PATIENCE, wait_for

Manifest = dict[str, Any]
Manifests = list[Manifest]


class KubectlError(AssertionError):
    """kubectl said no; the message is what the user would read."""


def is_going(found: Manifest) -> bool:
    """True for an object that is being deleted, though it may still be listed for a while."""
    return "deletionTimestamp" in found["metadata"]


def condition_in(found: Manifest, condition_type: str) -> Manifest | None:
    """Return one condition of an object, or None."""
    conditions = found.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == condition_type), None)


def reasons_of(found: Manifest, *condition_types: str) -> list[tuple[str, str] | None]:
    """Return status and reason of several conditions, as they were told at one moment."""
    told = (condition_in(found, each) for each in condition_types)
    return [(each["status"], each["reason"]) if each else None for each in told]


@dataclass(frozen=True)
class Kubectl:
    """kubectl bound to one namespace; KUBECONFIG comes from the environment."""

    namespace: str = "default"

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run kubectl and return what it printed; raise KubectlError with its complaint."""
        command = ["kubectl", "--namespace", self.namespace, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode != 0:
            raise KubectlError(done.stderr.strip())
        return done.stdout

    def apply(self, manifest: Manifest, *options: str) -> None:
        self.run("apply", "-f", "-", *options, stdin=json.dumps(manifest))

    def get(self, kind: str, name: str) -> Manifest | None:
        """Return the object, or None when there is none."""
        printed = self.run("get", kind, name, "-o", "json", "--ignore-not-found")
        return json.loads(printed) if printed.strip() else None

    def list(self, kind: str, selector: str = "") -> list[Manifest]:
        chosen = ["-l", selector] if selector else []
        items: list[Manifest] = json.loads(self.run("get", kind, "-o", "json", *chosen))["items"]
        return items

    def names(self, kind: str, selector: str = "") -> set[str]:
        return {item["metadata"]["name"] for item in self.list(kind, selector)}

    def patch(self, kind: str, name: str, patch: Manifest, *options: str) -> None:
        self.run("patch", kind, name, "--type=merge", "-p", json.dumps(patch), *options)

    def delete(self, kind: str, name: str, *options: str, timeout: float = 120) -> None:
        self.run("delete", kind, name, *options, timeout=timeout)

    def condition(self, name: str, condition_type: str, kind: str = "embeddingmodel") -> Manifest | None:
        """Return one condition of an object, or None."""
        return condition_in(self.get(kind, name) or {}, condition_type)

    def wait_for_model(
        self, name: str, condition_type: str, status: str, *, reason: str | None = None, within: float = PATIENCE
    ) -> Manifest:
        """Wait until the condition has this status (and reason) for the newest generation; return the model as it was.

        Whatever else is asked of that moment has to be looked up in what is returned: a moment later it may differ.
        """

        def look() -> Manifest | None:
            found = self.get("embeddingmodel", name) or {}
            told = condition_in(found, condition_type)
            if told is None or told.get("observedGeneration") != found["metadata"].get("generation"):
                return None
            return found if told["status"] == status and reason in (None, told["reason"]) else None

        wanted = f"{name}: {condition_type}={status} {reason or ''}"
        return wait_for(wanted, look, within=within, explain=lambda: self.explain(name))

    def wait_for_condition(
        self, name: str, condition_type: str, status: str, *, reason: str | None = None, within: float = PATIENCE
    ) -> Manifest:
        """Wait until the condition has this status (and reason) for the newest generation, and return it."""
        model = self.wait_for_model(name, condition_type, status, reason=reason, within=within)
        told = condition_in(model, condition_type)
        assert told is not None
        return told

    def wait_ready(self, name: str, within: float = 2 * PATIENCE) -> Manifest:
        """Wait until the model is Ready and return it as it was then."""
        return self.wait_for_model(name, "Ready", "True", within=within)

    def wait_for_events(self, *reasons: str) -> Manifests:
        """Wait until Events with all these reasons are there: each is written after the status that it tells of."""

        def look() -> Manifests | None:
            events = self.list("events.events.k8s.io")
            return events if {event["reason"] for event in events}.issuperset(reasons) else None

        return wait_for(f"Events tell of {', '.join(reasons)}", look)

    def deployment_of(self, name: str) -> Manifest | None:
        """Return the one Deployment that serves this model."""
        found = self.list("deployments", f"embedplane.io/model={name}")
        assert len(found) <= 1, [each["metadata"]["name"] for each in found]
        return found[0] if found else None

    def wait_for_replicas(self, name: str, replicas: int, within: float = PATIENCE) -> None:
        """Wait until exactly so many servers of a model are wanted and ready."""

        def look() -> bool:
            deployment = self.deployment_of(name) or {"spec": {}, "status": {}}
            wanted, ready = deployment["spec"].get("replicas"), deployment["status"].get("readyReplicas", 0)
            return wanted == ready == replicas

        wait_for(f"{name} has {replicas} ready servers", look, within=within, explain=lambda: self.explain(name))

    def explain(self, name: str) -> str:
        """What a person would look at when a wait failed."""
        model = self.get("embeddingmodel", name) or {}
        pods = self.run("get", "pods,jobs,deployments,pvc", "-o", "wide")
        events = self.run("get", "events", "--sort-by=.lastTimestamp")
        return f"\n{json.dumps(model.get('status'), indent=1)}\n{pods}\n{events[-6000:]}"
