"""The life of one reconcile: observe, decide, apply, report. Level-based: whatever happened before, the same follows.

`decide/` knows what should be, `apply.py` does it, `report.py` says it; here is only the order.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from embedplane_operator.api.base import manifest_of
from embedplane_operator.api.status import EmbeddingModelStatus
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.apply import Applier, RefusedError
from embedplane_operator.autoscale.report import ScalingReports
from embedplane_operator.cluster import Cluster
from embedplane_operator.decide.decision import Decision
from embedplane_operator.decide.serving import servers_of
from embedplane_operator.decide.stages import decide
from embedplane_operator.errors import InvalidObjectError, NotFoundError
from embedplane_operator.events import Recorder
from embedplane_operator.index import ModelIndex
from embedplane_operator.kinds import EMBEDDING_MODEL, Manifest
from embedplane_operator.metrics import Metrics
from embedplane_operator.news import Refusals
from embedplane_operator.observation import Observation, parse_model, parse_status
from embedplane_operator.observe import Observer
from embedplane_operator.render.manifest import without_empty
from embedplane_operator.report import invalid_status, render_status, with_refusal
from embedplane_operator.settings import Settings
from embedplane_operator.status import transitions
from embedplane_operator.workqueue import Key

logger = logging.getLogger(__name__)

LOOK_AGAIN_REFUSED = 15.0
RESYNC_JITTER = 0.2


def utc_now() -> datetime:
    """Now, in whole seconds as the API has them."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Channels:
    """What a reconcile shares with the rest of the process."""

    index: ModelIndex
    reports: ScalingReports
    recorder: Recorder
    metrics: Metrics


class Reconciler:
    """Brings one model at a time to what its spec says."""

    def __init__(
        self, cluster: Cluster, settings: Settings, channels: Channels, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._index = channels.index
        self._reports = channels.reports
        self._recorder = channels.recorder
        self._metrics = channels.metrics
        self._now = now
        self._observer = Observer(cluster, settings, now)
        self._applier = Applier(cluster, settings)
        self._refusals = Refusals()
        self._turn = asyncio.Lock()

    async def reconcile(self, key: Key) -> float | None:
        """Handles one key; returns the seconds until it should come round again, None when it is gone."""
        began = time.monotonic()
        result = "error"
        try:
            again = await self._reconcile(key)
            result = "success"
        finally:
            self._metrics.reconciles.labels(result).inc()
            self._metrics.reconcile_seconds.observe(time.monotonic() - began)
        return again

    async def _reconcile(self, key: Key) -> float | None:
        body = await self._observer.read_model(key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            self._forget(key)  # its children go by their owner references
            return None
        self._index.remember(key)
        try:
            model = parse_model(body)
        except InvalidObjectError as error:
            before = parse_status(body)
            status = invalid_status(before, body["metadata"]["generation"], str(error), self._now())
            await self._report(body, before, status)
            return self._resync()
        return await self._bring_about(key, body, model)

    async def _bring_about(self, key: Key, body: Manifest, model: EmbeddingModel) -> float:
        observed, decision = await self._look(key, model)
        if decision.build_ticket is None:
            return await self._carry_out(key, body, observed, decision)
        async with self._turn:  # two that look at once would both find room
            observed = await self._observer.with_builds(observed)
            decision = decide(observed, self._settings, self._now())
            return await self._carry_out(key, body, observed, decision)

    async def _carry_out(self, key: Key, body: Manifest, observed: Observation, decision: Decision) -> float:
        model = observed.model
        again = min(decision.check_after or self._resync(), self._resync())
        refused: RefusedError | None = None
        try:
            applied = await self._applier.carry_out(decision, observed)
            self._index.set_shared_jobs(key, decision.shared_jobs)
            if applied:
                # the report must not call a rollout done that has only just been asked for
                observed = observed.with_applied(applied)
                decision = decide(observed, self._settings, self._now())
        except RefusedError as error:
            refused, again = error, min(again, LOOK_AGAIN_REFUSED)
            decision = with_refusal(decision, error.finding)
        servers, scaling = servers_of(observed, decision.serves), self._reports.get(key)
        self._metrics.observe_replicas(key, scaling.desired_replicas if scaling else servers.wanted, servers.ready)
        self._index.set_ticket(key, decision.build_ticket)
        await self._report(body, model.status, render_status(observed, decision, scaling, self._now()))
        if refused and refused.is_hiccup:
            raise refused  # it has been told; when to try again is for the work queue to say
        return again

    async def _look(self, key: Key, model: EmbeddingModel) -> tuple[Observation, Decision]:
        """Looks until the decision needs nothing that was not looked at: which Jobs are wanted follows from others."""
        observed = await self._observer.observe(model, self._index.shared_jobs(key))
        decision = decide(observed, self._settings, self._now())
        while missing := decision.shared_jobs - observed.shared_jobs:
            observed = await self._observer.with_shared_jobs(observed, missing)
            decision = decide(observed, self._settings, self._now())
        self._index.set_shared_jobs(key, observed.shared_jobs)
        return observed, decision

    async def _report(self, body: Manifest, before: EmbeddingModelStatus, after: EmbeddingModelStatus) -> None:
        """One status write, and none when there is no news; Events follow only what was written."""
        key = Key(body["metadata"]["namespace"], body["metadata"]["name"])
        if after == before or not self._refusals.is_news(key, before, after):
            return
        metadata = {name: body["metadata"][name] for name in ("name", "namespace", "uid")}
        identity = {"apiVersion": EMBEDDING_MODEL.api_version, "kind": EMBEDDING_MODEL.kind, "metadata": metadata}
        try:
            await self._cluster.apply({**identity, "status": without_empty(manifest_of(after))}, subresource="status")
        except NotFoundError:
            return
        self._refusals.note(key, after)
        for note in transitions(before, after):
            logger.info("%s/%s: %s: %s", metadata["namespace"], metadata["name"], note.reason, note.message)
            await self._recorder.record(body, note)

    def _forget(self, key: Key) -> None:
        self._refusals.forget(key)
        self._index.forget(key)
        self._applier.forget(key)
        self._metrics.forget(key)
        self._reports.forget(key)

    def _resync(self) -> float:
        """Deletions that happen while a watch is down are never told, so every model comes round from time to time."""
        jitter = random.uniform(1 - RESYNC_JITTER, 1 + RESYNC_JITTER)  # noqa: S311 -- jitter, not a secret
        return self._settings.resync_seconds * jitter
