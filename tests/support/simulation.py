"""A served model under the autoscaler's policy, second by second, on a clock of its own.

Pods start slowly, queue, reject and compute; a Prometheus with the real one's `rate` scrapes them; every tick the real
policy decides on what that Prometheus knows. Nothing of the policy is repeated here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from embedplane_operator.autoscale.behavior import Change, History
from embedplane_operator.autoscale.observation import Missing, Observation
from embedplane_operator.autoscale.policy import Decision, Standing, decide
from embedplane_operator.autoscale.rules import ScalingRules

DOWN = Missing("MetricsUnavailable", "Prometheus did not answer.")
COUNTERS = ("admitted", "rejected", "tokens", "busy")


@dataclass(frozen=True)
class Arrivals:
    """Tokens that clients send within one second."""

    interactive: float = 0.0
    bulk: float = 0.0


@dataclass(frozen=True)
class World:
    """A model, its pods and its monitoring. `lone_rate`: tokens per busy second of requests that meet no other."""

    arrivals: Callable[[float], Arrivals]
    capacity: float = 3000.0
    benchmark: float = 3000.0
    lone_rate: float | None = None
    start_seconds: float = 40.0
    scrape_seconds: int = 15
    tick_seconds: int = 15
    discovery_seconds: float = 0.0
    """How long after a pod became ready Prometheus scrapes it for the first time."""
    max_queued_tokens: float = 600_000.0
    is_prometheus_down: Callable[[float], bool] = lambda _: False
    are_scrapes_lost: Callable[[float, int], bool] = lambda _time, _pod: False


@dataclass
class Pod:
    """One server with its counters and what Prometheus holds of it."""

    number: int
    created: float
    ready_at: float
    interactive: float = 0.0
    bulk: float = 0.0
    is_gone: bool = False
    counters: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0.0))
    samples: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    last_scrape_failed: bool = False

    def offer(self, arrivals: Arrivals, room: float) -> None:
        for lane, tokens in (("interactive", arrivals.interactive), ("bulk", arrivals.bulk)):
            admitted = min(tokens, max(0.0, room - self.interactive - self.bulk))
            setattr(self, lane, getattr(self, lane) + admitted)
            self.counters["admitted"] += admitted
            self.counters["rejected"] += tokens - admitted

    def compute(self, capacity: float, lone_rate: float) -> None:
        """One second of work, interactive first; batches fill, and so grow efficient, only when requests queue."""
        waiting = self.interactive + self.bulk
        served = min(waiting, capacity)
        self.counters["tokens"] += served
        self.counters["busy"] += min(1.0, served / lone_rate)
        first = min(self.interactive, served)
        self.interactive -= first
        self.bulk = max(0.0, self.bulk - (served - first))

    def rate(self, counter: str, now: float, window: float) -> float | None:
        """PromQL's rate(), with its extrapolation to the edges of the window."""
        points = [(t, values[counter]) for t, values in self.samples if now - window < t <= now]
        if len(points) < 2:
            return None
        (first, low), (last, high) = points[0], points[-1]
        covered, step = last - first, (last - first) / (len(points) - 1)
        edges = (gap if gap < 1.1 * step else step / 2 for gap in (first - (now - window), now - last))
        return (high - low) * (covered + sum(edges)) / covered / window

    def average(self, lane: str, now: float, window: float) -> float | None:
        """PromQL's avg_over_time()."""
        points = [values[lane] for t, values in self.samples if now - window < t <= now]
        return sum(points) / len(points) if points else None


@dataclass(frozen=True)
class Moment:
    """The world at one tick, after the decision."""

    time: float
    replicas: int
    ready: int
    queued: float
    arriving: float
    rejected: float
    decision: Decision


@dataclass(frozen=True)
class Trace:
    """Everything that happened."""

    moments: tuple[Moment, ...]

    def between(self, start: float, end: float = float("inf")) -> "Trace":
        return Trace(tuple(m for m in self.moments if start <= m.time < end))

    @property
    def replicas(self) -> list[int]:
        return [m.replicas for m in self.moments]

    @property
    def changes(self) -> list[int]:
        """The differences from tick to tick that are not zero."""
        return [after - before for before, after in pairwise(self.replicas) if after != before]

    @property
    def reversals(self) -> int:
        """How often a rise followed a fall or a fall a rise: flapping, counted."""
        signs = [change > 0 for change in self.changes]
        return sum(a != b for a, b in pairwise(signs))

    @property
    def reasons(self) -> list[str]:
        return [m.decision.reason for m in self.moments]


class Simulation:
    """Runs a world under rules."""

    def __init__(self, world: World, rules: ScalingRules, replicas: int = 1) -> None:
        self.world, self.rules = world, rules
        self.history = History()
        self.replicas = replicas
        self.pods = [Pod(n, 0.0, 0.0) for n in range(replicas)]
        self.moments: list[Moment] = []

    def run(self, seconds: int) -> Trace:
        start = int(self.moments[-1].time) + 1 if self.moments else 0
        for second in range(start, start + seconds):
            self._serve(float(second))
            if second % self.world.scrape_seconds == 0:
                self._scrape(float(second))
            if second % self.world.tick_seconds == self.world.tick_seconds - 1:
                self._tick(float(second))
        return Trace(tuple(self.moments))

    def restart_operator(self) -> None:
        """Its memory is lost; the cluster goes on."""
        self.history = History()

    def _ready(self, now: float) -> list[Pod]:
        return [p for p in self.pods if not p.is_gone and p.ready_at <= now]

    def _serve(self, now: float) -> None:
        ready, arrivals = self._ready(now), self.world.arrivals(now)
        for pod in ready:
            share = Arrivals(arrivals.interactive / len(ready), arrivals.bulk / len(ready))
            pod.offer(share, self.world.max_queued_tokens)
            waiting = pod.interactive + pod.bulk
            lone_rate = self.world.lone_rate or self.world.capacity
            pod.compute(self.world.capacity, min(self.world.capacity, max(lone_rate, waiting)))

    def _scrape(self, now: float) -> None:
        for pod in self.pods:
            if pod.is_gone or pod.ready_at + self.world.discovery_seconds > now:
                continue
            pod.last_scrape_failed = self.world.are_scrapes_lost(now, pod.number)
            if not pod.last_scrape_failed:
                pod.samples.append((now, {**pod.counters, "interactive": pod.interactive, "bulk": pod.bulk}))
                pod.samples = [s for s in pod.samples if s[0] > now - 700]

    def _observe(self, now: float) -> Observation | Missing:
        if self.world.is_prometheus_down(now):
            return DOWN
        queue, short = max(30, self.world.scrape_seconds), max(60, 3 * self.world.scrape_seconds)
        live = [p for p in self.pods if not p.is_gone and not p.last_scrape_failed]
        series = [p for p in live if p.rate("admitted", now, short) is not None]
        if not series:
            return Missing("MetricsMissing", "No series.")

        def total(values: list[float | None]) -> float:
            return sum(v for v in values if v is not None)

        return Observation(
            admitted=total([p.rate("admitted", now, short) for p in self.pods]),
            rejected=total([p.rate("rejected", now, short) for p in self.pods]),
            interactive_queue=total([p.average("interactive", now, queue) for p in live]),
            bulk_queue=total([p.average("bulk", now, queue) for p in live]),
            tokens=total([p.rate("tokens", now, short) for p in self.pods]),
            busy_replicas=total([p.rate("busy", now, short) for p in self.pods]),
            series=len(series),
        )

    def _tick(self, now: float) -> None:
        ready = self._ready(now)
        standing = Standing(self.replicas, len(ready), self.world.benchmark)
        decision = decide(self.rules, standing, self._observe(now), self.history, now)
        self.history = decision.history
        if decision.replicas != self.replicas:
            change = Change(now, decision.replicas - self.replicas)
            self.history = self.history.changed(change, self.rules)
            self._scale(decision.replicas, now)
        arrivals = self.world.arrivals(now)
        queued = sum(p.interactive + p.bulk for p in ready)
        rejected = sum(p.counters["rejected"] for p in self.pods)
        arriving = arrivals.interactive + arrivals.bulk
        self.moments.append(Moment(now, self.replicas, len(ready), queued, arriving, rejected, decision))

    def _scale(self, replicas: int, now: float) -> None:
        """As a ReplicaSet does: the newest go first, those that are not ready before all others."""
        alive = [p for p in self.pods if not p.is_gone]
        youngest_first = sorted(alive, key=lambda p: (p.ready_at > now, p.created), reverse=True)
        for pod in youngest_first[: max(0, len(alive) - replicas)]:
            pod.is_gone = True
        for _ in range(replicas - len(alive)):
            self.pods.append(Pod(len(self.pods), now, now + self.world.start_seconds))
        self.replicas = replicas
