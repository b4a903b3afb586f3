"""Reads a model and everything around it: what is, as one `Observation`. Reads only; `decide/` says what it means.

Pods and Events are looked at only where they tell something: a model at rest costs half a dozen small calls.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.builds import read_builds
from embedplane_operator.cluster import Cluster
from embedplane_operator.errors import ForbiddenError, RejectedError
from embedplane_operator.index import LABEL_JOB_NAME
from embedplane_operator.jobs import JobRun, read_job
from embedplane_operator.kinds import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    EMBEDDING_MODEL,
    EVENT,
    JOB,
    POD,
    SERVICE,
    Manifest,
)
from embedplane_operator.observation import Observation
from embedplane_operator.pending import PodSurroundings
from embedplane_operator.render.inputs import digest_of_texts
from embedplane_operator.render.names import (
    BUILD,
    EXPORT,
    FETCH,
    LABEL_COMPONENT,
    LABEL_INSTALLATION,
    LABEL_MANAGED_BY,
    LABEL_MODEL,
    MANAGED_BY,
    RESOLVE,
    SERVER,
    STORE_CLAIM,
    candidate_name,
)
from embedplane_operator.settings import Settings
from embedplane_operator.troubles import Trouble, claim_trouble
from embedplane_operator.workqueue import Key

logger = logging.getLogger(__name__)

OURS = f"{LABEL_MANAGED_BY}={MANAGED_BY}"


class Observer:
    """Looks at the cluster for one model at a time."""

    def __init__(self, cluster: Cluster, settings: Settings, now: Callable[[], datetime]) -> None:
        """With a store in object storage a claim of an earlier time is left alone."""
        self._cluster = cluster
        self._settings = settings
        self._store = settings.store
        self._now = now

    async def read_model(self, key: Key) -> Manifest | None:
        """The EmbeddingModel, or None when it is gone."""
        return await self._cluster.get(EMBEDDING_MODEL, key.namespace, key.name)

    async def observe(self, model: EmbeddingModel, shared_jobs: frozenset[str] | None) -> Observation:
        """Looks at everything; `shared_jobs` None: at all shared Jobs that the model owns."""
        namespace, name = model.metadata.namespace, model.metadata.name
        of_model = f"{OURS},{LABEL_MODEL}={name}"
        deployments, jobs, pods, service, budget, claim = await asyncio.gather(
            self._cluster.list(DEPLOYMENT, namespace, of_model),
            self._cluster.list(JOB, namespace, of_model),
            self._cluster.list(POD, namespace, of_model),
            self._cluster.get(SERVICE, namespace, name),
            self._cluster.get(DISRUPTION_BUDGET, namespace, name),
            self._store_claim(namespace),
        )
        source_claim, secret_version, store_secret_version, api_keys_version, texts_digest = await asyncio.gather(
            self._source_claim(model),
            self._secret_version(model),
            self._store_secret_version(namespace),
            self._api_keys_version(model),
            self._texts_digest(model),
        )
        troubles = await self._claim_troubles(namespace, [claim, source_claim])
        servers = [pod for pod in pods if _component(pod) == SERVER]
        fetch_jobs = tuple(job for job in jobs if _component(job) == FETCH)
        found = Observation(
            model=model,
            deployments=deployments,
            servers=self._surroundings(servers, await self._events_about(namespace, servers), troubles),
            jobs=tuple([await self._read_job(job, pods, troubles) for job in fetch_jobs]),
            fetch_jobs=fetch_jobs,
            resolve_jobs=tuple(
                [await self._read_job(job, pods, troubles) for job in jobs if _component(job) == RESOLVE]
            ),
            service=service,
            disruption_budget=budget,
            claim=claim,
            source_claim=source_claim,
            secret_version=secret_version,
            store_secret_version=store_secret_version,
            api_keys_version=api_keys_version,
            texts_digest=texts_digest,
        )
        if _may_have_candidate(found):
            found = await self._with_candidate(found)
        if shared_jobs is None:
            return await self._with_owned_jobs(found, troubles)
        return await self.with_shared_jobs(found, shared_jobs)

    async def with_shared_jobs(self, found: Observation, names: Iterable[str]) -> Observation:
        """Adds the shared Jobs of these names that were not looked for yet."""
        namespace, missing = found.model.metadata.namespace, frozenset(names) - found.shared_jobs
        jobs = [await self._cluster.get(JOB, namespace, name) for name in sorted(missing)]
        runs = [await self._read_shared_job(job, found.servers.claims) for job in jobs if job is not None]
        return replace(found, jobs=(*found.jobs, *runs), shared_jobs=found.shared_jobs | missing)

    async def with_builds(self, found: Observation) -> Observation:
        """Adds all builds of the installation, and the models that wait for their turn."""
        settings = self._settings
        models: list[Manifest] = []
        jobs: list[Manifest] = []
        for namespace in settings.watch_namespaces or (None,):
            labels = f"{OURS},{LABEL_INSTALLATION}={settings.installation},{LABEL_COMPONENT}={BUILD}"
            models += await self._cluster.list(EMBEDDING_MODEL, namespace)
            jobs += await self._cluster.list(JOB, namespace, labels)
        return replace(found, builds=read_builds(models, jobs, settings.accelerator_profiles, self._now()))

    async def _with_candidate(self, found: Observation) -> Observation:
        namespace, name = found.model.metadata.namespace, candidate_name(found.model)
        service, budget = await asyncio.gather(
            self._cluster.get(SERVICE, namespace, name), self._cluster.get(DISRUPTION_BUDGET, namespace, name)
        )
        return replace(found, candidate_service=service, candidate_budget=budget)

    async def _with_owned_jobs(self, found: Observation, claims: Sequence[Trouble]) -> Observation:
        namespace, uid = found.model.metadata.namespace, found.model.metadata.uid
        selector = f"{OURS},{LABEL_COMPONENT} in ({EXPORT},{BUILD})"
        jobs = [job for job in await self._cluster.list(JOB, namespace, selector) if _is_owned_by(job, uid)]
        runs = [await self._read_shared_job(job, claims) for job in jobs]
        return replace(found, jobs=(*found.jobs, *runs), shared_jobs=frozenset(run.name for run in runs))

    async def _read_shared_job(self, job: Manifest, claims: Sequence[Trouble]) -> JobRun:
        selector = f"{LABEL_JOB_NAME}={job['metadata']['name']}"
        pods = await self._cluster.list(POD, job["metadata"]["namespace"], selector)
        return await self._read_job(job, pods, claims)

    async def _read_job(self, job: Manifest, pods: Sequence[Manifest], claims: Sequence[Trouble]) -> JobRun:
        own = [
            pod for pod in pods if (pod["metadata"].get("labels") or {}).get(LABEL_JOB_NAME) == job["metadata"]["name"]
        ]
        events: tuple[Manifest, ...] = ()
        if not own and not (job.get("status") or {}).get("conditions"):
            events = await self._warnings(job["metadata"]["namespace"], job["metadata"]["uid"])
        elif own:
            events = await self._events_about(job["metadata"]["namespace"], own)
        return read_job(job, self._surroundings(own, events, claims))

    def _surroundings(
        self, pods: Sequence[Manifest], events: Sequence[Manifest], claims: Sequence[Trouble]
    ) -> PodSurroundings:
        return PodSurroundings(pods, events, claims, self._settings.accelerator_profiles, self._now())

    async def _events_about(self, namespace: str, pods: Sequence[Manifest]) -> tuple[Manifest, ...]:
        """Events about the newest pod that does not start; those of healthy pods are not read."""
        pending = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Pending"]
        if not pending:
            return ()
        newest = max(pending, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))
        return await self._list_events(namespace, f"regarding.uid={newest['metadata']['uid']}")

    async def _claim_troubles(self, namespace: str, claims: Sequence[Manifest | None]) -> tuple[Trouble, ...]:
        troubles = []
        for claim in claims:
            if claim is None or (claim.get("status") or {}).get("phase") == "Bound":
                continue
            if trouble := claim_trouble(claim, await self._warnings(namespace, claim["metadata"]["uid"])):
                troubles.append(trouble)
        return tuple(troubles)

    async def _warnings(self, namespace: str, uid: str) -> tuple[Manifest, ...]:
        return await self._list_events(namespace, f"regarding.uid={uid},type=Warning")

    async def _list_events(self, namespace: str, fields: str) -> tuple[Manifest, ...]:
        """What Events say only adds to what is known, so nothing fails where they cannot be read."""
        try:
            return await self._cluster.list(EVENT, namespace, fields=fields)
        except (ForbiddenError, RejectedError) as error:
            logger.warning("%s: Events are not read, so conditions say less of why pods wait: %s", namespace, error)
            return ()

    async def _store_claim(self, namespace: str) -> Manifest | None:
        return await self._cluster.get(CLAIM, namespace, STORE_CLAIM) if not self._store.is_remote else None

    async def _source_claim(self, model: EmbeddingModel) -> Manifest | None:
        source = model.spec.source.persistent_volume_claim
        return await self._cluster.get(CLAIM, model.metadata.namespace, source.claim_name) if source else None

    async def _secret_version(self, model: EmbeddingModel) -> str | None:
        name = model.spec.source.secret_name
        return await self._cluster.secret_version(model.metadata.namespace, name) if name else None

    async def _store_secret_version(self, namespace: str) -> str | None:
        name = self._store.jobs_secret
        return await self._cluster.secret_version(namespace, name) if name else None

    async def _api_keys_version(self, model: EmbeddingModel) -> str | None:
        reference = model.spec.serving.api_keys_secret_ref
        return await self._cluster.secret_version(model.metadata.namespace, reference.name) if reference else None

    async def _texts_digest(self, model: EmbeddingModel) -> str | None:
        source = model.spec.engine.conformance.texts_from
        if source is None:
            return None
        found = await self._cluster.get(CONFIG_MAP, model.metadata.namespace, source.config_map_ref.name)
        return None if found is None else digest_of_texts(found)


def _may_have_candidate(found: Observation) -> bool:
    """True where a second space is, was, or may come to be; all others are spared the look."""
    model = found.model
    return (
        model.spec.vector_space_policy == "SideBySide" or bool(model.status.vector_spaces) or len(found.deployments) > 1
    )


def _component(manifest: Manifest) -> str:
    return str((manifest["metadata"].get("labels") or {}).get(LABEL_COMPONENT, ""))


def _is_owned_by(manifest: Manifest, uid: str) -> bool:
    return any(owner.get("uid") == uid for owner in manifest["metadata"].get("ownerReferences") or ())
