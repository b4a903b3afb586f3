"""One model through all rounds: servers and the bare engine take turns, so that the machine's noise meets all alike."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hack.bench.serving import load
from hack.bench.serving.contenders import OURS, ROOT, Running, contenders, running
from hack.bench.serving.models import Model
from hack.bench.serving.published import THREADS, Engine
from hack.bench.serving.texts import workloads
from hack.bench.serving.verifying import Verified, verify
from hack.bench.serving.workload import Workload

BARE = "bare engine"
LONE_REQUESTS = 200


@dataclass(frozen=True)
class Plan:
    """How long and against whom."""

    peers: list[str]
    against: Path | None
    workloads: list[str]
    rounds: int
    seconds: float


@dataclass
class Results:
    """What was measured of one model; speeds in tokens a second by workload and server, one of each round."""

    model: Model
    workloads: list[Workload]
    starts: dict[str, float] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)
    verified: dict[str, Verified] = field(default_factory=dict)
    speeds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    tokens_a_cpu_second: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    gigaflops: list[float] = field(default_factory=list)
    lone: dict[str, float] = field(default_factory=dict)
    """Median milliseconds of a short text while there is no other request."""

    def speed(self, workload: str, server: str) -> float:
        """Return the median over the rounds."""
        return statistics.median(self.speeds[workload][server])

    def ratio(self, workload: str, server: str) -> float:
        """Return the median over the rounds of ours over the other's: both were measured in the same minute."""
        return median_ratio(self.speeds[workload], server)

    def limit(self, workload: Workload) -> float:
        """Return the tokens a second at which the machine's bfloat16 products alone would take all the time."""
        return statistics.median(self.gigaflops) * 1e9 * workload.tokens / self.model.flop(workload.lengths)


def median_ratio(of_servers: dict[str, list[float]], server: str) -> float:
    """Return how many times as much we have as another server, in the median round."""
    return statistics.median(ours / other for ours, other in zip(of_servers[OURS], of_servers[server], strict=True))


class Bare:
    """The process of `bare.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, measure: str, **about: Any) -> float:  # noqa: ANN401 -- becomes JSON
        """Have it measure something."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"measure": measure, **about}), file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())


def measure(model: Model, engine: Engine, plan: Plan, logs: Path) -> Results:
    """Start everything, see that all answer right, then measure in rounds."""
    chosen = [each for each in workloads(model) if each.name.split()[0] in plan.workloads]
    results = Results(model, chosen)
    with ExitStack() as stack:
        known = contenders(model, engine, plan.against)
        servers = []
        for name in [OURS, *(["before"] if plan.against else []), *plan.peers]:
            print(f"bench: starting {name}", flush=True)
            server = stack.enter_context(running(known[name], model, logs / f"{name}.log"))
            results.starts[name] = round(server.start_seconds, 2)
            servers.append(server)
            stack.enter_context(_asleep(server))
        bare = stack.enter_context(_bare(engine))
        results.verified = verify(servers, chosen)
        for server in servers:
            with server.awake():
                results.megabytes[server.name] = server.megabytes()
        for number in range(plan.rounds):
            print(f"bench: {model.name}, round {number + 1} of {plan.rounds}", flush=True)
            _round(results, servers, bare, plan.seconds)
        _lone(results, servers, bare)
    return results


def _round(results: Results, servers: list[Running], bare: Bare, seconds: float) -> None:
    results.gigaflops.append(bare.ask("limit", seconds=min(seconds, 1.0)))
    for workload in results.workloads:
        speeds = results.speeds.setdefault(workload.name, {})
        cheapness = results.tokens_a_cpu_second.setdefault(workload.name, {})
        for server in servers:
            requests = load.requests_of(workload, server.address)
            with server.awake() as address:
                before = server.cpu_seconds()
                done = load.run(address, requests, workload.requests_in_flight, seconds)
                used = server.cpu_seconds() - before
            speeds.setdefault(server.name, []).append(done.tokens / done.seconds)
            cheapness.setdefault(server.name, []).append(done.tokens / used)
            print(f"bench: {workload.name}, {server.name}: {done.tokens / done.seconds:.0f} tokens/s", flush=True)
        speeds.setdefault(BARE, []).append(bare.ask("speed", lengths=workload.lengths, seconds=seconds))


def _lone(results: Results, servers: list[Running], bare: Bare) -> None:
    short = next((each for each in results.workloads if each.texts_a_request == 1), None)
    if short is None:
        return
    results.lone[BARE] = bare.ask("lone", lengths=short.lengths[:LONE_REQUESTS])
    for server in servers:
        requests = load.requests_of(short, server.address)[:LONE_REQUESTS]
        with server.awake() as address:
            results.lone[server.name] = statistics.median(load.lone_milliseconds(address, requests))


@contextmanager
def _asleep(server: Running) -> Iterator[None]:
    with server.awake():
        pass
    yield


@contextmanager
def _bare(engine: Engine) -> Iterator[Bare]:
    command = [sys.executable, "-m", "hack.bench.serving.bare", str(engine.folder), str(THREADS)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Bare(process)
        finally:
            process.kill()
