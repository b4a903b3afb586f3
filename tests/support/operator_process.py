"""The operator as a process of its own, against the cluster of KUBECONFIG, looking after one namespace."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.kubectl import Kubectl
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE, wait_for

LEASE = "embedplane-operator-test"


@dataclass
class OperatorProcess:
    """Starts, stops and kills `python -m embedplane_operator`."""

    folder: Path
    namespace: str
    changes: dict[str, Any] = field(default_factory=dict)
    lease_seconds: float = 120
    """How long an operator that is not heard of leads on; it ends itself before that."""

    def __post_init__(self) -> None:
        self.health, self.metrics_port = free_port(), free_port()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "operator.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        images = {"server": "server.invalid/e:1", "exporter": "exporter.invalid/e:1", "gpuServer": "gpu.invalid/e:1"}
        return {
            "installation": self.namespace,
            "watchNamespaces": [self.namespace],
            "images": images,
            "leaderElection": {
                "namespace": self.namespace,
                "name": LEASE,
                "durationSeconds": self.lease_seconds,
                "deadlineSeconds": self.lease_seconds * 0.75,
                "periodSeconds": 0.5,
            },
            "ports": {"metrics": self.metrics_port, "health": self.health},
            "scaling": {"tickSeconds": 1},
            "storeCollection": {"enabled": False},  # its Jobs come by the clock
            "workers": 4,
            **self.changes,
        }

    def start(self) -> "OperatorProcess":
        """Start it and wait until it answers."""
        config = self.folder / "config.yaml"
        config.write_text(json.dumps(self.settings))  # JSON is YAML
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "embedplane_operator", "--config", str(config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for("the operator is ready", self._is_ready, explain=self.log.read_text)
        return self

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return self.ask("/health/ready") == 200

    def ask(self, path: str) -> int:
        """The status of a health endpoint; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}{path}", timeout=5) as response:
                status: int = response.status
                return status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def metric(self, name: str, label: str = "") -> float:
        """The sum of a metric's series, or of those with a label: `result="success"`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as response:
            lines = response.read().decode().splitlines()
        series = (line for line in lines if line.partition("{")[0].partition(" ")[0] == name and label in line)
        return sum(float(line.rpartition(" ")[2]) for line in series)

    def wait_until_leading(self) -> None:
        wait_for(
            "the operator leads",
            lambda: self.ask("/health/live") == 200 and self.metric("embedplane_operator_leading") == 1,
            explain=self.log.read_text,
        )

    def wait_until_it_looked(self) -> None:
        """Wait until it has done all for a model once, and has looked at the load twice."""

        def has_looked() -> bool:
            reconciles = self.metric("embedplane_operator_reconciles_total", 'result="success"')
            return reconciles >= 1 and self.metric("embedplane_operator_autoscaler_ticks_total") >= 2

        wait_for("the operator looked at everything", has_looked, explain=self.log.read_text)

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait_for_exit()

    def crash(self) -> None:
        """SIGKILL; its Lease has to run out before another operator leads."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)

    def kill(self) -> None:
        """SIGKILL, and its Lease goes at once: only test_operator_lease.py is about the time that takes."""
        self.crash()
        kubectl = Kubectl(self.namespace)
        holder = (kubectl.get("lease", LEASE) or {}).get("spec", {}).get("holderIdentity", "")
        if self.process and holder.endswith(f"-{self.process.pid}"):
            kubectl.delete("lease", LEASE, "--ignore-not-found")

    def wait_for_exit(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE)


@contextmanager
def running(folder: Path, namespace: str, lease_seconds: float = 120, **changes: Any) -> Iterator[OperatorProcess]:
    """An operator for the length of a block."""
    operator = OperatorProcess(folder, namespace, changes, lease_seconds)
    try:
        yield operator.start()
    finally:
        operator.kill()
