"""Which EmbeddingModels an event concerns. Filled by `handlers.py` and `reconcile.py`; holds names, never objects.

Most children name their model in a label or as owner. Two do not: the claim of a namespace, which concerns all its
models, and the pods of shared Jobs, which concern the models that wait for that Job.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from embedplane_operator.cluster import CLAIM, EMBEDDING_MODEL
from embedplane_operator.render.names import LABEL_MODEL
from embedplane_operator.workqueue import Key

JOB_NAME_LABEL = "batch.kubernetes.io/job-name"


class ModelIndex:
    """The models that are known, and the shared Job that each of them waits for."""

    def __init__(self) -> None:
        self._known: defaultdict[str, set[str]] = defaultdict(set)
        self._waiting: dict[Key, frozenset[str]] = {}

    def remember(self, key: Key) -> None:
        """Notes that a model exists."""
        self._known[key.namespace].add(key.name)

    def forget(self, key: Key) -> None:
        """Notes that a model is gone."""
        self._known[key.namespace].discard(key.name)
        self._waiting.pop(key, None)

    def wait_for(self, key: Key, jobs: frozenset[str]) -> None:
        """Notes the shared Jobs whose pods concern this model from now on."""
        if jobs:
            self._waiting[key] = jobs
        else:
            self._waiting.pop(key, None)

    def keys(self) -> frozenset[Key]:
        """All models that are known."""
        return frozenset(Key(namespace, name) for namespace, names in self._known.items() for name in names)

    def concerned(self, kind: str, body: Mapping[str, Any]) -> frozenset[Key]:
        """The models that an object of some kind belongs to."""
        metadata = body.get("metadata") or {}
        namespace = str(metadata.get("namespace") or "")
        labels = metadata.get("labels") or {}
        if kind == CLAIM.kind:
            return frozenset(Key(namespace, name) for name in self._known.get(namespace, ()))
        names = {
            owner["name"]
            for owner in metadata.get("ownerReferences") or ()
            if owner.get("kind") == EMBEDDING_MODEL.kind and owner.get("apiVersion") == EMBEDDING_MODEL.api_version
        }
        if model := labels.get(LABEL_MODEL):
            names.add(model)
        job = labels.get(JOB_NAME_LABEL)
        waiting = {key for key, jobs in self._waiting.items() if job in jobs and key.namespace == namespace}
        return frozenset({Key(namespace, name) for name in names} | waiting)
