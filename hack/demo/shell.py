"""kubectl and helm, as a person would call them, against one target."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hack.cluster.layout import REPOSITORY
from hack.cluster.progress import SetupError
from hack.demo.target import Target, Values


def run(target: Target, program: str, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl or helm against the target; raise SetupError with what it complains about."""
    context = "--kube-context" if program == "helm" else "--context"
    command = [program, context, target.context, *arguments]
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, env=target.environment, cwd=REPOSITORY
    )
    if done.returncode != 0:
        raise SetupError(f"{program} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def helm_install(target: Target, release: str, namespace: str, values: Values) -> None:
    """Install or upgrade the chart and wait for the operator."""
    options = ["--namespace", namespace, "--create-namespace", "--values", "-", "--wait", "--timeout", "5m"]
    arguments = ["upgrade", "--install", release, "charts/embedplane", *options]
    run(target, "helm", *arguments, stdin=json.dumps(values))


def ensure_namespace(target: Target, name: str) -> None:
    """Make a namespace that enforces the restricted Pod Security level."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    run(target, "kubectl", "apply", "--filename", "-", stdin=json.dumps(manifest))


def apply(target: Target, namespace: str, path: Path) -> str:
    """Apply an EmbeddingModel and return its name."""
    arguments = ["apply", "--namespace", namespace, "--filename", str(path), "--output", "jsonpath={.metadata.name}"]
    return run(target, "kubectl", *arguments)


def get_model(target: Target, namespace: str, name: str) -> dict[str, Any]:
    printed = run(target, "kubectl", "get", "embeddingmodel", name, "--namespace", namespace, "--output", "json")
    found: dict[str, Any] = json.loads(printed)
    return found


def remove(target: Target, release: str, system_namespace: str, namespace: str) -> None:
    """Take the demo out of a cluster that is not ours; the CRD and other models stay."""
    run(target, "kubectl", "delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
    run(target, "helm", "uninstall", release, "--namespace", system_namespace, "--ignore-not-found")


@contextmanager
def reachable(target: Target, namespace: str, service: str) -> Iterator[str]:
    """Yield a URL of the Service on this machine, forwarded for the length of the block."""
    command = [
        "kubectl",
        "--context",
        target.context,
        "port-forward",
        "--namespace",
        namespace,
        f"service/{service}",
        ":80",
    ]
    forward = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=target.environment)
    try:
        assert forward.stdout is not None
        line = forward.stdout.readline()
        if "->" not in line:
            raise SetupError(f"kubectl port-forward to {service} ended: {line.strip()}")
        port = line.split(" -> ")[0].rpartition(":")[2]
        yield f"http://127.0.0.1:{port}"
    finally:
        forward.terminate()
        forward.wait(10)
