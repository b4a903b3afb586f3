"""A look into a claim, through a pod as a user would."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.kubectl import Kubectl


@dataclass(frozen=True)
class OpenClaim:
    """A claim that a pod has mounted at /data."""

    namespace: Kubectl
    pod: str

    def run(self, *command: str, stdin: bytes = b"") -> None:
        kubectl = ["kubectl", "--namespace", self.namespace.namespace, "exec", "-i", self.pod, "--"]
        subprocess.run([*kubectl, *command], input=stdin, check=True, timeout=120)

    def read(self, *command: str) -> str:
        """Run a command and return what it printed."""
        kubectl = ["kubectl", "--namespace", self.namespace.namespace, "exec", self.pod, "--"]
        return subprocess.run([*kubectl, *command], capture_output=True, text=True, check=True, timeout=120).stdout


@contextmanager
def opened(namespace: Kubectl, claim: str, image: str) -> Iterator[OpenClaim]:
    """Mount a claim in a pod for the length of a block."""
    pod = f"open-{claim}"
    container = {
        "name": "open",
        "image": image,
        "command": ["sleep", "infinity"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    security = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec = {
        "containers": [container],
        "securityContext": security,
        "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
    }
    namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod}, "spec": spec})
    try:
        namespace.run("wait", f"pod/{pod}", "--for=condition=Ready", "--timeout=300s", timeout=310)
        yield OpenClaim(namespace, pod)
    finally:
        namespace.delete("pod", pod, "--wait=true")
