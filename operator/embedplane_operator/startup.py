"""Puts the process together and takes it apart: connection, Lease, workers, autoscaler, kopf.

Everything is made here and handed on; nothing else knows all parts. Tasks are created before `kopf.operator` is
entered, because kopf cancels what is created after.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Coroutine
from dataclasses import asdict, dataclass
from typing import Any

import kopf

from embedplane_operator.autoscale.demand import DemandQueries, LabelNames
from embedplane_operator.autoscale.loop import AutoscaleLoop, Outlets
from embedplane_operator.autoscale.report import ScalingReports
from embedplane_operator.cluster import Calls, Cluster, connect
from embedplane_operator.errors import EmbedplaneError
from embedplane_operator.events import Recorder
from embedplane_operator.handlers import register, watch_settings
from embedplane_operator.health import Addresses, HealthServer, Pulse
from embedplane_operator.housekeeping import Housekeeper
from embedplane_operator.index import ModelIndex
from embedplane_operator.lease import Leadership, LeaseTerms
from embedplane_operator.metrics import AutoscalerCounts, Metrics
from embedplane_operator.prometheus import Endpoint, Prometheus
from embedplane_operator.reconcile import Channels, Reconciler
from embedplane_operator.scalables import ServerScales
from embedplane_operator.settings import Settings
from embedplane_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

EXIT_TIMEOUT = 30.0
STUCK_SECONDS = 300.0
PULSE_SECONDS = 5.0


class WatchesEndedError(EmbedplaneError):
    """kopf gave up, for example because its rights were taken away; a restart begins anew."""


@dataclass(frozen=True)
class Parts:
    """What lives as long as the process leads."""

    settings: Settings
    cluster: Cluster
    queue: WorkQueue
    index: ModelIndex
    reports: ScalingReports
    metrics: Metrics
    pulse: Pulse


async def run(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT; raises LeaseLostError or WatchesEndedError when the process must be replaced."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    metrics, pulse, queue = Metrics(), Pulse(), WorkQueue()
    health = HealthServer(pulse, metrics, lambda: metrics.queue_depth.set(queue.depth))
    await health.start(Addresses(None, settings.ports.health, settings.ports.metrics))
    try:
        async with connect(Calls(metrics.observe_call)) as cluster:
            health.started = True
            parts = Parts(settings, cluster, queue, ModelIndex(), ScalingReports(), metrics, pulse)
            await _lead(parts, stop)
    finally:
        await health.stop()


async def _lead(parts: Parts, stop: asyncio.Event) -> None:
    leadership = Leadership(parts.cluster, _terms(parts.settings))
    if not await _finishes_before(stop, leadership.acquire()):
        return
    parts.metrics.leading.set(1)
    try:
        await _work(parts, leadership, stop)
    finally:
        parts.metrics.leading.set(0)
    # not reached when the Lease was lost or the process is ending in disorder: then it runs out by itself
    await _release(leadership)


async def _work(parts: Parts, leadership: Leadership, stop: asyncio.Event) -> None:
    """Starts everything that acts, and returns when told to stop, with all of it stopped."""
    scales = ServerScales(parts.cluster, parts.settings)
    channels = Channels(parts.index, parts.reports, Recorder(parts.cluster, _identity()), parts.metrics)
    housekeeper = Housekeeper(parts.cluster, parts.settings, channels)
    reconciler = Reconciler(parts.cluster, parts.settings, channels)
    autoscaler = _autoscaler(parts, scales)
    parts.metrics.registry.register(AutoscalerCounts(lambda: asdict(autoscaler.counts)))
    parts.pulse.expect("watch", None)
    parts.pulse.expect("workers", STUCK_SECONDS)
    parts.pulse.expect("autoscaler", max(120.0, parts.settings.scaling.tick_seconds * 8))
    async with _tasks(
        leadership.hold(),
        autoscaler.run(parts.settings.scaling.tick_seconds),
        housekeeper.run(),
        _watch_workers(parts),
        *(parts.queue.work(reconciler.reconcile) for _ in range(parts.settings.workers)),
    ) as tasks:
        watching = asyncio.create_task(_watch(parts, stop))
        done, _ = await asyncio.wait({*tasks, watching}, return_when=asyncio.FIRST_COMPLETED)
    # nothing acts any more, so a lost Lease may go to another process while kopf takes its time
    stop.set()
    if watching not in done:
        watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    for task in done:
        task.result()  # raises what ended it


@contextlib.asynccontextmanager
async def _tasks(*works: Coroutine[Any, Any, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(parts: Parts, stop: asyncio.Event) -> None:
    """Runs kopf; it takes over SIGTERM and returns when it comes."""
    registry = kopf.OperatorRegistry()
    register(registry, parts.queue, parts.index, lambda: parts.pulse.beat("watch"))

    @kopf.on.cleanup(registry=registry)
    async def stopped(**_: Any) -> None:  # noqa: ANN401 -- kopf's arguments
        stop.set()

    namespaces = parts.settings.watch_namespaces
    await kopf.operator(
        registry=registry,
        settings=watch_settings(EXIT_TIMEOUT),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
    )
    if not stop.is_set():
        raise WatchesEndedError("the watches ended without being told to")


async def _watch_workers(parts: Parts) -> None:
    """Beats while no reconcile hangs: each call has a timeout, so none takes minutes."""
    while True:
        if parts.queue.longest_run() < STUCK_SECONDS:
            parts.pulse.beat("workers")
        await asyncio.sleep(PULSE_SECONDS)


def _autoscaler(parts: Parts, scales: ServerScales) -> AutoscaleLoop:
    outlets = Outlets(parts.reports, parts.queue.add, lambda: parts.pulse.beat("autoscaler"))
    configured = parts.settings.prometheus
    if configured is None:
        return AutoscaleLoop(scales, None, DemandQueries(), outlets)
    endpoint = Endpoint(
        url=configured.url,
        ca_file=configured.ca_file,
        bearer_token_file=configured.bearer_token_file,
        headers=configured.headers,
        timeout_seconds=configured.timeout_seconds,
    )
    labels = LabelNames(configured.labels.namespace, configured.labels.model, configured.labels.vector_space)
    return AutoscaleLoop(scales, Prometheus(endpoint), DemandQueries(labels, configured.matchers), outlets)


def _terms(settings: Settings) -> LeaseTerms:
    election = settings.leader_election
    return LeaseTerms(
        namespace=election.namespace,
        name=election.name,
        identity=_identity(),
        duration=election.duration_seconds,
        deadline=election.deadline_seconds,
        period=election.period_seconds,
    )


def _identity() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


async def _finishes_before(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Waits for the work, unless `stop` comes first."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    done, pending = await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    if working in done:
        working.result()
        return True
    return False


async def _release(leadership: Leadership) -> None:
    try:
        await leadership.release()
    except EmbedplaneError as error:
        logger.warning("the Lease was not released and runs out by itself: %s", error)
