"""Embedplane as the chart installs it: helm in a subprocess, values as nested dicts."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.kubectl import Kubectl
from tests.support.waiting import wait_for

CHART = Path(__file__).parents[2] / "charts" / "embedplane"
Values = dict[str, Any]


def merged(base: Values, change: Values) -> Values:
    """Return `base` with `change` laid over it, mappings merged."""
    result = dict(base)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def helm(*arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run(["helm", *arguments], input=stdin, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr}"
    return done.stdout


@dataclass
class Installation:
    """One release of the chart."""

    release: str
    namespace: str
    values: Values = field(default_factory=dict)

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(self.namespace)

    @property
    def selector(self) -> str:
        return f"app.kubernetes.io/name=embedplane,app.kubernetes.io/instance={self.release}"

    @property
    def server_image(self) -> str:
        server = self.values["images"]["server"]
        return f"{server['repository']}:{server['tag']}"

    def upgrade(self, change: Values | None = None) -> None:
        """Install or upgrade with the values of this installation, changed for this once, and wait for the operator."""
        values = merged(self.values, change or {})
        helm(
            "upgrade", "--install", self.release, str(CHART), "--namespace", self.namespace, "--create-namespace",
            "--values", "-", "--wait", "--timeout", "5m", stdin=json.dumps(values),
        )  # fmt: skip

    def uninstall(self) -> None:
        helm("uninstall", self.release, "--namespace", self.namespace, "--wait")

    @contextmanager
    def changed(self, change: Values) -> Iterator[None]:
        """Run with other values for the length of a block."""
        self.upgrade(change)
        try:
            yield
        finally:
            self.upgrade()

    def operator_pods(self) -> list[dict[str, Any]]:
        return self.kubectl.list("pods", self.selector)

    def kill_operator(self) -> None:
        """Kill the operator without grace (SIGKILL); its Deployment starts another."""
        before = {pod["metadata"]["uid"] for pod in self.operator_pods()}
        self.kubectl.run("delete", "pods", "-l", self.selector, "--grace-period=0", "--force")
        wait_for(
            "another operator runs",
            lambda: any(
                pod["metadata"]["uid"] not in before and pod["status"]["phase"] == "Running"
                for pod in self.operator_pods()
            ),
        )

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Run a block without an operator."""
        deployment = self.kubectl.list("deployments", self.selector)[0]["metadata"]["name"]
        self.kubectl.run("scale", "deployment", deployment, "--replicas=0")
        wait_for("no operator runs", lambda: not self.operator_pods())
        try:
            yield
        finally:
            self.kubectl.run("scale", "deployment", deployment, "--replicas=1")
            self.kubectl.run("rollout", "status", "deployment", deployment, "--timeout=300s", timeout=310)
