"""The operator as a process of its own, and what can be measured of it from outside: memory, CPU, its own counters."""

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import yaml
from prometheus_client.parser import text_string_to_metric_families

from hack.bench.models import Stage

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


@dataclass(frozen=True)
class Reading:
    """Counters and sizes at one moment."""

    calls: Counter[str]
    reconciles: float
    cpu_seconds: float
    pss_megabytes: float
    peak_rss_megabytes: float


@dataclass
class Operator:
    """A running operator."""

    process: asyncio.subprocess.Process
    metrics_port: int

    async def read(self) -> Reading:
        """Read the metrics endpoint and /proc."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.metrics_port}/metrics") as answer,
        ):
            families = list(text_string_to_metric_families(await answer.text()))
        samples = [sample for family in families for sample in family.samples]
        calls: Counter[str] = Counter()
        for sample in samples:
            if sample.name == "embedplane_operator_api_calls_total":
                calls[f"{sample.labels['verb']} {sample.labels['status']}"] += int(sample.value)
        reconciles = sum(s.value for s in samples if s.name == "embedplane_operator_reconciles_total")
        return Reading(
            calls, reconciles, self._cpu(), self._kilobytes("smaps_rollup", "Pss:"), self._kilobytes("status", "VmHWM:")
        )

    def _kilobytes(self, file: str, field: str) -> float:
        lines = Path(f"/proc/{self.process.pid}/{file}").read_text().splitlines()
        return round(int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024, 1)

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def operator(folder: Path, stage: Stage, prometheus: str | None) -> AsyncIterator[Operator]:
    """Run the checkout's operator on the cluster of KUBECONFIG for the length of a block.

    One namespace is watched alone, so that a busy cluster does not count; more are watched with the whole cluster.
    """
    metrics_port, health_port = _free_port(), _free_port()
    settings = {
        "installation": stage.name,
        "watchNamespaces": stage.namespaces if len(stage.namespaces) == 1 else [],
        "images": {"server": "bench/server", "gpuServer": "bench/gpu", "exporter": "bench/exporter"},
        "store": {"accessMode": "ReadWriteMany", "size": "1Gi", "storageClassName": stage.name},
        "leaderElection": {"namespace": stage.name},
        "ports": {"metrics": metrics_port, "health": health_port},
        **({"prometheus": {"url": prometheus}} if prometheus else {}),
    }
    config = folder / "operator.yaml"
    config.write_text(yaml.safe_dump(settings))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    with (folder / "operator.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "embedplane_operator",
            "--config",
            str(config),
            stderr=log,
            env=environment,
            cwd=folder,
        )
    running = Operator(process, metrics_port)
    try:
        if not await _leads(running):
            raise SystemExit(f"the operator does not lead; its log:\n{(folder / 'operator.log').read_text()[-4000:]}")
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 60)


async def _leads(running: Operator) -> bool:
    """Wait for the Lease; False when the process ends before, or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession() as session:
        while running.process.returncode is None and time.monotonic() < deadline:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"http://127.0.0.1:{running.metrics_port}/metrics") as answer:
                    if "embedplane_operator_leading 1.0" in await answer.text():
                        return True
            await asyncio.sleep(0.2)
    return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
