"""The autoscaler's loop: once per tick ask Prometheus about all models, decide about each, write what changed.

It decides nothing itself (`policy.py`) and outlives every failure of Prometheus and of the API server: what is not
known holds replicas where they are, and shows in the reports. Its memory is in memory, so a restarted operator takes
nothing away until it has watched for a full stabilization window.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from embedplane_operator.autoscale.behavior import Change, History
from embedplane_operator.autoscale.demand import DemandQueries, Space, missing_space
from embedplane_operator.autoscale.observation import Missing, Observation
from embedplane_operator.autoscale.policy import Decision, Standing, decide
from embedplane_operator.autoscale.report import ScalingReport, ScalingReports
from embedplane_operator.autoscale.scalable import Scalable, ScalingCluster
from embedplane_operator.prometheus import MetricsUnavailableError, Sample
from embedplane_operator.workqueue import Key

logger = logging.getLogger(__name__)

NOT_CONFIGURED = Missing(
    "PrometheusNotConfigured",
    "The operator knows no Prometheus. Set prometheus.url in the chart's values, or minReplicas equal to maxReplicas.",
)

Observed = Mapping[Space, Observation | Missing]


class Metrics(Protocol):
    """What the loop needs of Prometheus."""

    async def query_all(self, promql: Mapping[str, str]) -> dict[str, list[Sample]]:
        """Return the samples of every named expression, or raise MetricsUnavailableError."""
        ...


@dataclass
class Counts:
    """How often what happened; `metrics.py` shows them."""

    ticks: int = 0
    prometheus_failures: int = 0
    cluster_failures: int = 0
    changes: int = 0


@dataclass(frozen=True)
class Outlets:
    """Where decisions go besides the cluster: the reports, and who is told that a model's report changed."""

    reports: ScalingReports
    changed: Callable[[Key], None]
    ticked: Callable[[], None] = lambda: None
    """Called at the end of each tick, whether it could do anything or not: the loop is alive."""


@dataclass
class _Memory:
    history: History = field(default_factory=History)
    last_scale_time: datetime | None = None


class AutoscaleLoop:
    """Scales every Deployment that the cluster lists, until cancelled."""

    def __init__(
        self, cluster: ScalingCluster, metrics: Metrics | None, queries: DemandQueries, outlets: Outlets
    ) -> None:
        self._cluster = cluster
        self._metrics = metrics
        self._queries = queries
        self._outlets = outlets
        self._memories: dict[tuple[str, str], _Memory] = {}
        self._failure = ""
        self.counts = Counts()

    async def run(self, tick_seconds: float = 15.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Tick for ever, at a steady pace as long as ticks are shorter than that."""
        while True:
            started = clock()
            try:
                await self.tick(started)
            except Exception:
                logger.exception("the autoscaler's tick failed; replicas stay as they are until the next one")
            self._outlets.ticked()
            await asyncio.sleep(max(0.0, started + tick_seconds - clock()))

    async def tick(self, now: float) -> None:
        """Look at everything once."""
        self.counts.ticks += 1
        try:
            scalables = await self._cluster.list_scalable()
        except Exception as error:
            self.counts.cluster_failures += 1
            logger.warning("the autoscaler cannot list Deployments, replicas stay as they are: %s", error)
            return
        observed = await self._observe(scalables)
        for scalable in scalables:
            await self._scale(scalable, _of(scalable, observed), now)
        self._forget_all_but(scalables)

    async def _observe(self, scalables: list[Scalable]) -> Observed | Missing:
        if self._metrics is None:
            return NOT_CONFIGURED
        if not scalables:
            return {}
        try:
            answers = await self._metrics.query_all(self._queries.promql())
        except MetricsUnavailableError as error:
            self.counts.prometheus_failures += 1
            self._note_failure(str(error))
            return Missing("MetricsUnavailable", str(error))
        self._note_failure("")
        return self._queries.observations(answers)

    def _note_failure(self, message: str) -> None:
        """Log what Prometheus says once, not at every tick; an empty message is its recovery."""
        if message == self._failure:
            return
        if message:
            logger.warning("the autoscaler has no metrics, replicas stay as they are: %s", message)
        else:
            logger.info("the autoscaler has metrics again")
        self._failure = message

    async def _scale(self, scalable: Scalable, observed: Observation | Missing, now: float) -> None:
        memory = self._memories.setdefault((scalable.namespace, scalable.deployment), _Memory())
        standing = Standing(
            scalable.replicas,
            scalable.ready_replicas,
            scalable.benchmark_tokens_per_second,
            scalable.gives_way,
            scalable.retires,
        )
        decision = decide(scalable.rules, standing, observed, memory.history, now)
        memory.history = decision.history
        target = _target(scalable, decision)
        report = _report(decision, memory)
        if target is not None:
            report = await self._write(scalable, target, decision, now)
        if scalable.is_active and self._outlets.reports.set(scalable.key, report):
            self._outlets.changed(scalable.key)

    async def _write(self, scalable: Scalable, target: int, decision: Decision, now: float) -> ScalingReport:
        memory = self._memories[scalable.namespace, scalable.deployment]
        try:
            await self._cluster.set_replicas(scalable.namespace, scalable.deployment, target)
        except Exception as error:
            self.counts.cluster_failures += 1
            logger.warning("%s: %d replicas could not be set: %s", scalable.key, target, error)
            report = _report(decision, memory)
            message = f"{decision.message}; but the API server refused the change: {error}"
            return ScalingReport(report.desired_replicas, "ScaleFailed", message, active=False)
        if target != scalable.replicas:
            self.counts.changes += 1
            logger.info(
                "%s/%s: %d -> %d replicas: %s",
                scalable.namespace,
                scalable.deployment,
                scalable.replicas,
                target,
                decision.message,
            )
            memory.history = memory.history.changed(Change(now, target - scalable.replicas), scalable.rules)
            memory.last_scale_time = datetime.now(UTC).replace(microsecond=0)
        return _report(decision, memory)

    def _forget_all_but(self, scalables: list[Scalable]) -> None:
        deployments = {(each.namespace, each.deployment) for each in scalables}
        self._memories = {name: memory for name, memory in self._memories.items() if name in deployments}
        for key in self._outlets.reports.keys() - {each.key for each in scalables}:
            self._outlets.reports.forget(key)


def _of(scalable: Scalable, observed: Observed | Missing) -> Observation | Missing:
    if isinstance(observed, Missing):
        return observed
    space = Space(scalable.namespace, scalable.model, scalable.vector_space)
    return observed.get(space) or missing_space(space)


def _target(scalable: Scalable, decision: Decision) -> int | None:
    """Return the replicas to write, None to write nothing.

    A Deployment is created without replicas, so that nobody owns them; then the first write is due even if it changes
    nothing, and with mode Disabled it is the only one. Replicas that made room for a build are given back
    whoever decides by then.
    """
    if not scalable.replicas_owned:
        is_ours = not (scalable.rules.is_disabled or scalable.rules.is_paused)
        return decision.replicas if is_ours else scalable.rules.min_replicas
    if scalable.rules.is_disabled or scalable.rules.is_paused:
        return scalable.rules.min_replicas if scalable.made_room and not scalable.gives_way else None
    return None if decision.replicas == scalable.replicas else decision.replicas


def _report(decision: Decision, memory: _Memory) -> ScalingReport:
    observation, capacity = decision.observation, decision.capacity
    return ScalingReport(
        desired_replicas=decision.replicas,
        reason=decision.reason,
        message=decision.message,
        active=decision.is_active,
        queued_tokens=round(observation.queued) if observation else None,
        arriving_tokens_per_second=round(observation.admitted + observation.rejected) if observation else None,
        capacity_tokens_per_second=round(capacity) if capacity else None,
        last_scale_time=memory.last_scale_time,
    )
