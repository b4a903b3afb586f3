"""The few questions that starting the cluster asks the API server, through kubectl."""

import json
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from hack.cluster.layout import Layout, Node
from hack.cluster.progress import SetupError


def wait_until(what: str, is_so: Callable[[], bool], within: float) -> None:
    """Wait for a condition; name it when the time is over."""
    deadline = time.monotonic() + within
    while not is_so():
        if time.monotonic() > deadline:
            raise SetupError(
                f"{what}: still not so after {within:.0f} s. Look at `hack/cluster/cluster status` and its logs."
            )
        time.sleep(0.1)


def api_answers(layout: Layout) -> bool:
    return _kubectl(layout, "get", "--raw", "/readyz").returncode == 0


def apply(layout: Layout, manifest: Path) -> None:
    """Apply a manifest, again and again while a freshly started API server still refuses."""
    deadline = time.monotonic() + 30
    while (done := _kubectl(layout, "apply", "-f", str(manifest))).returncode != 0:
        if time.monotonic() > deadline:
            raise SetupError(f"kubectl apply -f {manifest} failed: {done.stderr.strip()}")
        time.sleep(0.2)


def heartbeat(layout: Layout, node: Node) -> tuple[bool, datetime] | None:
    """Return whether the node is ready and when its kubelet last said so; None when it has not registered."""
    done = _kubectl(layout, "get", "node", node.name, "-o", "json")
    if done.returncode != 0:
        return None
    for condition in json.loads(done.stdout).get("status", {}).get("conditions", []):
        if condition["type"] == "Ready":
            return condition["status"] == "True", datetime.fromisoformat(condition["lastHeartbeatTime"])
    return None


def advertise_gpu(layout: Layout, node: Node) -> None:
    """Give a node one nvidia.com/gpu, as its device plugin would. To be repeated after each start of its kubelet."""
    resources = {"capacity": {"nvidia.com/gpu": "1"}, "allocatable": {"nvidia.com/gpu": "1"}}
    patch = json.dumps({"status": resources})
    done = _kubectl(layout, "patch", "node", node.name, "--subresource=status", "--type=merge", "-p", patch)
    if done.returncode != 0:
        raise SetupError(f"cannot advertise nvidia.com/gpu on {node.name}: {done.stderr.strip()}")


def dns_is_ready(layout: Layout) -> bool:
    done = _kubectl(
        layout, "get", "deployment", "coredns", "-n", "kube-system", "-o", "jsonpath={.status.readyReplicas}"
    )
    return done.stdout.strip() == "1"


def nodes_table(layout: Layout) -> str:
    return _kubectl(layout, "get", "nodes", "-o", "wide").stdout


def _kubectl(layout: Layout, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [
        str(layout.binaries / "kubectl"),
        "--kubeconfig",
        str(layout.kubeconfig),
        "--request-timeout=10s",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)
