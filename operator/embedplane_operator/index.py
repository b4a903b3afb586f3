"""Which EmbeddingModels an event concerns. Filled by `handlers.py` and `reconcile.py`; holds names, never objects.

Most children name their model in a label or as owner. Two do not: the claim of a namespace, which concerns all its
models, and the pods of shared Jobs, which concern the models that wait for that Job. A build Job concerns the first in
line for a build as well: its end makes room.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from embedplane_operator.api.status import BuildTicket
from embedplane_operator.kinds import CLAIM, EMBEDDING_MODEL, JOB
from embedplane_operator.render.names import BUILD, LABEL_COMPONENT, LABEL_MODEL
from embedplane_operator.workqueue import Key

LABEL_JOB_NAME = "batch.kubernetes.io/job-name"


class ModelIndex:
    """The models that are known, and the shared Jobs that each of them owns or waits for."""

    def __init__(self) -> None:
        self._known: defaultdict[str, set[str]] = defaultdict(set)
        self._shared_jobs: dict[Key, frozenset[str]] = {}
        self._line: dict[Key, BuildTicket] = {}

    def remember(self, key: Key) -> None:
        """Notes that a model exists."""
        self._known[key.namespace].add(key.name)

    @property
    def namespaces(self) -> frozenset[str]:
        """Those with models."""
        return frozenset(namespace for namespace, names in self._known.items() if names)

    def forget(self, key: Key) -> None:
        """Notes that a model is gone."""
        self._known[key.namespace].discard(key.name)
        self._shared_jobs.pop(key, None)
        self._line.pop(key, None)

    def set_ticket(self, key: Key, ticket: BuildTicket | None) -> None:
        """Notes the place of a model in the line for a build; None: it does not wait there."""
        self._line.pop(key, None)
        if ticket:
            self._line[key] = ticket

    def set_shared_jobs(self, key: Key, jobs: frozenset[str]) -> None:
        """Notes the shared Jobs that concern this model from now on."""
        self._shared_jobs[key] = jobs

    def shared_jobs(self, key: Key) -> frozenset[str] | None:
        """The shared Jobs of a model; None when this process has not looked yet."""
        return self._shared_jobs.get(key)

    def concerned(self, kind: str, body: Mapping[str, Any]) -> frozenset[Key]:
        """The models that an object of some kind belongs to."""
        metadata = body.get("metadata") or {}
        namespace = str(metadata.get("namespace") or "")
        if kind == CLAIM.kind:
            return frozenset(Key(namespace, name) for name in self._known.get(namespace, ()))
        labels = metadata.get("labels") or {}
        names = {
            owner["name"]
            for owner in metadata.get("ownerReferences") or ()
            if owner.get("kind") == EMBEDDING_MODEL.kind and owner.get("apiVersion") == EMBEDDING_MODEL.api_version
        }
        if model := labels.get(LABEL_MODEL):
            names.add(model)
        job = metadata.get("name") if kind == JOB.kind else labels.get(LABEL_JOB_NAME)
        first = self._first_in_line() if kind == JOB.kind and labels.get(LABEL_COMPONENT) == BUILD else set()
        return frozenset({Key(namespace, name) for name in names} | self._waiting_for(namespace, job) | first)

    def _first_in_line(self) -> set[Key]:
        """Of each profile the one that has waited longest: all others could only look and wait on."""
        found: dict[str | None, tuple[datetime, Key]] = {}
        for key, ticket in self._line.items():
            found[ticket.profile] = min(found.get(ticket.profile, (ticket.since, key)), (ticket.since, key))
        return {key for _, key in found.values()}

    def _waiting_for(self, namespace: str, job: str | None) -> set[Key]:
        return {key for key, jobs in self._shared_jobs.items() if key.namespace == namespace and job in jobs}
