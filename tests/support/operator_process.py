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

from tests.support.ports import free_port
from tests.support.waiting import wait_for

LEASE = "embedplane-operator-test"


@dataclass
class OperatorProcess:
    """Starts, stops and kills `python -m embedplane_operator`."""

    folder: Path
    namespace: str
    changes: dict[str, Any] = field(default_factory=dict)

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
                "durationSeconds": 4,
                "deadlineSeconds": 3,
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
        wait_for("the operator is ready", lambda: self.ask("/health/ready") == 200, explain=self.log.read_text)
        return self

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

    def metric(self, name: str) -> float:
        """The sum of a metric's series."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0].partition(" ")[0] == name)

    def wait_until_leading(self, within: float = 30) -> None:
        wait_for(
            "the operator leads",
            lambda: self.ask("/health/live") == 200 and self.metric("embedplane_operator_leading") == 1,
            within=within,
            explain=self.log.read_text,
        )

    def terminate(self, within: float = 20) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def wait_for_exit(self, within: float) -> int:
        assert self.process is not None
        return self.process.wait(within)


@contextmanager
def running(folder: Path, namespace: str, **changes: Any) -> Iterator[OperatorProcess]:
    """An operator for the length of a block."""
    operator = OperatorProcess(folder, namespace, changes)
    try:
        yield operator.start()
    finally:
        operator.kill()
