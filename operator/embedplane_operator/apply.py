"""Carries out a decision: server-side apply, Jobs created and left, what is not wanted deleted.

Every object is looked at before it is written, so that nothing of a stranger is touched, and nothing is written that
is the same already. What the API server refuses comes back as a `RefusedError` with a finding, all else as an error.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from embedplane_operator.api.conditions import Reason
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.cluster import Cluster
from embedplane_operator.decide.acceptance import ownership_refusal
from embedplane_operator.decide.decision import CreateJob, Decision, JobAction, JoinJob, LeaveJob, Mark
from embedplane_operator.errors import (
    AlreadyExistsError,
    ClusterError,
    ClusterUnavailableError,
    ConflictError,
    EmbedplaneError,
    ForbiddenError,
    NotFoundError,
    RejectedError,
)
from embedplane_operator.jobs import write_triggers
from embedplane_operator.kinds import JOB, RESOURCES, Manifest
from embedplane_operator.observation import Observation
from embedplane_operator.render.names import ANNOTATION_TRIGGER
from embedplane_operator.settings import Settings
from embedplane_operator.status import Finding, Outlook
from embedplane_operator.workqueue import Key

logger = logging.getLogger(__name__)

SHARED_SECONDS = 60.0
SERVER_FAULT = 500


class RefusedError(EmbedplaneError):
    """The decision cannot be carried out; the finding says why."""

    def __init__(self, finding: Finding, *, is_hiccup: bool = False) -> None:
        super().__init__(finding.message)
        self.finding = finding
        self.is_hiccup = is_hiccup
        """The very same request may pass in a moment; otherwise somebody has to change something."""


@dataclass(frozen=True)
class Applied:
    """What an object was the last time we wrote it."""

    digest: str
    resource_version: str


class Applier:
    """Writes to the cluster; remembers what it wrote, to leave alone what has not changed since."""

    def __init__(self, cluster: Cluster, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._settings = settings
        self._clock = clock
        self._applied: dict[Key, dict[tuple[str, str], Applied]] = defaultdict(dict)
        self._shared: dict[str, float] = {}

    async def carry_out(self, decision: Decision, observed: Observation) -> list[Manifest]:
        """Does everything; returns what was applied for the model as it is now. Raises RefusedError."""
        namespace = observed.model.metadata.namespace
        try:
            await self.apply_shared(namespace, decision.shared)
            if decision.claim:
                await self._create_claim(decision.claim)
            applied = await self._apply_children(decision.apply, observed)
            for action in decision.jobs:
                await self._act(action, observed.model)
            for check in decision.checks:
                await self._try(check, observed.model)
            for doomed in decision.delete:
                await self._cluster.delete(RESOURCES[doomed.kind], namespace, doomed.name, doomed.uid)
            for mark in decision.marks:
                await self._mark(mark, namespace)
        except (RejectedError, ForbiddenError) as error:
            raise RefusedError(_finding_of(error)) from error
        except ClusterUnavailableError as error:
            if error.refusal.status < SERVER_FAULT:
                raise  # no answer, or not now: the status could not be written either
            words = f"the API server cannot carry out {error.call}: {error.refusal.message}"
            raise RefusedError(Finding("False", Reason.CLUSTER_REFUSED, words), is_hiccup=True) from error
        return applied

    def forget(self, key: Key) -> None:
        """Drops what is known about the children of a model that is gone."""
        self._applied.pop(key, None)

    async def apply_shared(self, namespace: str, manifests: tuple[Manifest, ...]) -> None:
        """Once a minute per namespace, whichever of its models comes round."""
        now = self._clock()
        if not manifests or now - self._shared.get(namespace, float("-inf")) < SHARED_SECONDS:
            return
        for manifest in manifests:
            await self._apply(manifest, await self._current(manifest), None)
        self._shared[namespace] = now

    async def _create_claim(self, claim: Manifest) -> None:
        try:
            await self._cluster.create(claim)
        except AlreadyExistsError:
            return  # another model of the namespace was faster

    async def _apply_children(self, manifests: tuple[Manifest, ...], observed: Observation) -> list[Manifest]:
        known = {
            (each["kind"], each["metadata"]["name"]): each
            for each in (
                *observed.deployments,
                *(observed.service, observed.disruption_budget, observed.candidate_service, observed.candidate_budget),
            )
            if each is not None
        }
        current = [
            known.get((manifest["kind"], manifest["metadata"]["name"])) or await self._current(manifest)
            for manifest in manifests
        ]
        await self._rehearse(manifests, current, observed.model)
        return [
            await self._apply(manifest, now, observed.model) for manifest, now in zip(manifests, current, strict=True)
        ]

    async def _mark(self, mark: Mark, namespace: str) -> None:
        """Notes something at an object, if it is still that very one."""
        patch = {"metadata": {"uid": mark.uid, "annotations": dict(mark.annotations)}}
        try:
            await self._cluster.merge(RESOURCES[mark.kind], namespace, mark.name, patch)
        except (NotFoundError, ConflictError):
            return  # a pod goes as it likes; the next look finds what came after it

    async def _rehearse(
        self, manifests: tuple[Manifest, ...], current: list[Manifest | None], model: EmbeddingModel
    ) -> None:
        """Dry-runs what is new, so that a child that is refused leaves all of them as they were."""
        new = []
        for manifest, now in zip(manifests, current, strict=True):
            self._check_owner(now, model)
            known = self._applied[_key_of(manifest, model)].get(_place(manifest))
            if known is None or known.digest != _digest(manifest):
                new.append(manifest)
        await asyncio.gather(*(self._cluster.apply(manifest, dry_run=True) for manifest in new))

    async def _apply(self, manifest: Manifest, current: Manifest | None, model: EmbeddingModel | None) -> Manifest:
        self._check_owner(current, model)
        memory, place, digest = self._applied[_key_of(manifest, model)], _place(manifest), _digest(manifest)
        if current is not None and memory.get(place) == Applied(digest, current["metadata"]["resourceVersion"]):
            return current
        result = await self._cluster.apply(manifest)
        memory[place] = Applied(digest, result["metadata"]["resourceVersion"])
        return {**result, "kind": manifest["kind"], "apiVersion": manifest["apiVersion"]}

    def _check_owner(self, current: Manifest | None, model: EmbeddingModel | None) -> None:
        if current is None:
            return
        if refused := ownership_refusal(current, model, self._settings):
            raise RefusedError(refused)
        if "deletionTimestamp" in current["metadata"] or (model and _belongs_to_a_former(current, model)):
            raise EmbedplaneError(f"{current['kind']} {current['metadata']['name']} is still being deleted")

    async def _current(self, manifest: Manifest) -> Manifest | None:
        metadata = manifest["metadata"]
        return await self._cluster.get(RESOURCES[manifest["kind"]], metadata["namespace"], metadata["name"])

    async def _act(self, action: JobAction, model: EmbeddingModel) -> None:
        namespace = model.metadata.namespace
        match action:
            case CreateJob(manifest, replaced):
                if replaced:
                    await self._cluster.delete(JOB, namespace, replaced.name, replaced.uid)
                await self._create_job(manifest, model)
            case JoinJob(job, owner, triggers):
                patch = {
                    "resourceVersion": job.resource_version,
                    "ownerReferences": [*(each for each in job.owners if each["uid"] != owner["uid"]), owner],
                    "annotations": {ANNOTATION_TRIGGER: write_triggers(triggers)},
                }
                await self._cluster.merge(JOB, namespace, job.name, {"metadata": patch})
            case LeaveJob(job, uid):
                others = [owner for owner in job.owners if owner.get("uid") != uid]
                if not others:
                    await self._cluster.delete(JOB, namespace, job.name, job.uid)
                    return
                patch = {"resourceVersion": job.resource_version, "ownerReferences": others}
                await self._cluster.merge(JOB, namespace, job.name, {"metadata": patch})

    async def _try(self, action: JobAction, model: EmbeddingModel) -> None:
        try:
            await self._act(action, model)
        except EmbedplaneError as error:
            logger.warning("%s/%s: not looked upstream: %s", model.metadata.namespace, model.metadata.name, error)

    async def _create_job(self, manifest: Manifest, model: EmbeddingModel) -> None:
        try:
            await self._cluster.create(manifest)
        except AlreadyExistsError as error:
            found = await self._current(manifest)
            if found and (refused := ownership_refusal(found, None, self._settings)):
                raise RefusedError(refused) from error
            raise  # ours: started by another model meanwhile, or its predecessor is not gone yet


def _finding_of(error: ClusterError) -> Finding:
    """What a refusal means to the user."""
    if isinstance(error, RejectedError):
        fields = f" ({', '.join(error.refusal.fields)})" if error.refusal.fields else ""
        words = f"the API server refuses {error.call}{fields}: {error.refusal.message}"
        return Finding("False", Reason.POD_TEMPLATE_INVALID, words, Outlook.STALLED)
    words = f"the API server refuses {error.call}: {error.refusal.message}"
    if "exceeded quota" in error.refusal.message:
        return Finding("False", Reason.QUOTA_EXCEEDED, words)
    return Finding("False", Reason.CLUSTER_REFUSED, words)


def _belongs_to_a_former(current: Manifest, model: EmbeddingModel) -> bool:
    """True for a child of a deleted model of the same name: the garbage collector is about to take it."""
    controllers = [owner for owner in current["metadata"].get("ownerReferences") or () if owner.get("controller")]
    return any(owner.get("uid") != model.metadata.uid for owner in controllers)


def _key_of(manifest: Manifest, model: EmbeddingModel | None) -> Key:
    """Whose child it is; an object of the namespace is nobody's."""
    return Key(manifest["metadata"]["namespace"], model.metadata.name if model else "")


def _place(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _digest(manifest: Manifest) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
