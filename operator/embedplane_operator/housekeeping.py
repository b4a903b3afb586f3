"""Keeps the stores of namespaces small: once in each interval a Job per store, given what is in use by then.

The Job is its own record of the interval, so it is not started twice, whoever's memory is lost; `decide/collection.py`
knows what is in use. A namespace whose models are all gone keeps its claim, and has it collected as well.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.apply import Applier
from embedplane_operator.cluster import Cluster
from embedplane_operator.decide.collection import LONGEST_LIST, in_use
from embedplane_operator.decide.slots import slot_of
from embedplane_operator.decide.stores import EVERY_NAMESPACE, Store, stores_of
from embedplane_operator.errors import AlreadyExistsError, EmbedplaneError, InvalidObjectError
from embedplane_operator.index import LABEL_JOB_NAME
from embedplane_operator.jobs import JobRun, read_job
from embedplane_operator.kinds import CLAIM, DEPLOYMENT, EMBEDDING_MODEL, JOB, POD, Manifest
from embedplane_operator.observation import parse_model
from embedplane_operator.pending import PodSurroundings
from embedplane_operator.reconcile import Channels, utc_now
from embedplane_operator.render.collect_job import nobody, render_collect_job
from embedplane_operator.render.inputs import digest_of
from embedplane_operator.render.names import (
    COLLECT,
    LABEL_COMPONENT,
    LABEL_INSTALLATION,
    LABEL_MANAGED_BY,
    MANAGED_BY,
    STORE_CLAIM,
    collect_job_name,
)
from embedplane_operator.render.network_policies import render_network_policies
from embedplane_operator.render.service_accounts import render_service_accounts
from embedplane_operator.settings import Settings
from embedplane_operator.status import Note

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0
ENDS = ("Complete", "Failed")


@dataclass(frozen=True)
class Surroundings:
    """Everything in a namespace that may name something in its store."""

    models: tuple[Manifest, ...]
    others: tuple[Manifest, ...]


class Housekeeper:
    """Starts the collections that are due, and tells how they ended."""

    def __init__(
        self, cluster: Cluster, settings: Settings, channels: Channels, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._index = channels.index
        self._recorder = channels.recorder
        self._metrics = channels.metrics
        self._now = now
        self._applier = Applier(cluster, settings)
        self._told: set[tuple[str, str]] = set()
        self._ours = f"{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_INSTALLATION}={settings.installation}"

    async def run(self) -> None:
        """Goes round for ever; what fails is tried again the next time."""
        pause = min(LONGEST_PAUSE, max(1.0, self._settings.store_collection.interval_seconds / 10))
        while self._settings.store_collection.enabled:
            try:
                await self.go_round()
            except EmbedplaneError as error:
                logger.warning("the stores were not looked at: %s", error)
            except Exception:
                logger.exception("the stores were not looked at; it is tried again")
            await asyncio.sleep(pause)
        await asyncio.Event().wait()  # whoever ends is taken for broken

    async def go_round(self) -> None:
        """Looks at every store of ours."""
        scopes = self._settings.watch_namespaces or (None,)
        claims = [claim for scope in scopes for claim in await self._cluster.list(CLAIM, scope, self._ours)]
        labels = f"{self._ours},{LABEL_COMPONENT}={COLLECT}"
        jobs = [job for scope in scopes for job in await self._cluster.list(JOB, scope, labels)]
        for store in stores_of(self._settings, set(filter(None, map(_home_of, claims))), self._index.namespaces):
            try:
                await self._keep(store, [job for job in jobs if job["metadata"]["namespace"] == store.home])
            except EmbedplaneError as error:
                logger.warning("%s: the store is not collected: %s", store.home, error)
        seen = {job["metadata"]["uid"] for job in jobs}
        self._told = {told for told in self._told if told[0] in seen}

    async def _keep(self, store: Store, jobs: list[Manifest]) -> None:
        now = self._now()
        slot = slot_of(store.home, self._settings.store_collection.interval_seconds, now)
        inputs = digest_of({"store": STORE_CLAIM, "namespace": store.home, "slot": slot.number})
        for job in jobs:
            await self._tell(job)
        if any(job["metadata"]["name"] == collect_job_name(inputs) for job in jobs):
            return
        around = await self._surroundings(store)
        keep = in_use((*around.models, *around.others))
        if len(json.dumps(keep)) > LONGEST_LIST:
            words = "%s: the store is not collected: the list of what is in use (%d names) is too long for a pod"
            logger.error(words, store.home, len(keep))
            return
        for job in jobs:
            await self._cluster.delete(JOB, store.home, job["metadata"]["name"], job["metadata"]["uid"])
        accounts = render_service_accounts(store.home, self._settings)
        policies = render_network_policies(store.home, self._settings)
        await self._applier.apply_shared(store.home, (*accounts, *policies))
        lender = _lender(around.models, store.home) or nobody(store.home)
        try:
            await self._cluster.create(render_collect_job(lender, self._settings, inputs, keep, now))
        except AlreadyExistsError:
            return  # by an operator that is about to end

    async def _surroundings(self, store: Store) -> Surroundings:
        namespace = None if store.users == EVERY_NAMESPACE else store.users
        models = await self._cluster.list(EMBEDDING_MODEL, namespace)
        others = [
            each
            for kind in (DEPLOYMENT, JOB, POD)
            for each in await self._cluster.list(kind, namespace, f"{LABEL_MANAGED_BY}={MANAGED_BY}")
            if (each["metadata"].get("labels") or {}).get(LABEL_COMPONENT) != COLLECT
        ]
        return Surroundings(models, tuple(others))

    async def _tell(self, job: Manifest) -> None:
        """Counts and logs how a collection ended or what keeps it from running, each once."""
        namespace, uid = job["metadata"]["namespace"], job["metadata"]["uid"]
        if not self._told.isdisjoint((uid, phase) for phase in ENDS):
            return  # it has ended, and that was told: its pods are not asked for again
        pods = await self._cluster.list(POD, namespace, f"{LABEL_JOB_NAME}={job['metadata']['name']}")
        run = read_job(job, PodSurroundings(pods))
        told = (run.uid, run.phase)
        if told in self._told:
            return
        if run.phase == "Complete" and run.result is not None:
            self._told.add(told)
            self._metrics.observe_collection("success", _integer(run, "removedBytes"))
            logger.info("%s: the store was collected: %s", namespace, json.dumps(run.result))
        elif run.trouble is not None:
            self._told.add(told)
            self._metrics.observe_collection("failure", 0)
            words = f"the store of the namespace was not collected ({run.trouble.reason}): {run.trouble.message}"
            logger.warning("%s: %s", namespace, words)
            for model in (await self._cluster.list(EMBEDDING_MODEL, namespace))[:1]:
                await self._recorder.record(model, Note("StoreNotCollected", words, "Warning"))


def _home_of(claim: Manifest) -> str | None:
    """The namespace whose store a claim is."""
    metadata = claim["metadata"]
    is_store = metadata["name"] == STORE_CLAIM and "deletionTimestamp" not in metadata
    return str(metadata["namespace"]) if is_store else None


def _lender(models: tuple[Manifest, ...], namespace: str) -> EmbeddingModel | None:
    """The model whose podTemplate says how pods of the namespace are placed."""
    own = [model for model in models if model["metadata"]["namespace"] == namespace]
    for model in sorted(own, key=lambda each: str(each["metadata"]["name"])):
        try:
            return parse_model(model)
        except InvalidObjectError:
            continue
    return None


def _integer(run: JobRun, name: str) -> int:
    found = (run.result or {}).get(name)
    return found if isinstance(found, int) else 0
