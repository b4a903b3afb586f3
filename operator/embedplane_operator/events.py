"""Kubernetes Events about an EmbeddingModel: one per transition, repeated ones counted in a series."""

import hashlib
import logging
from datetime import UTC, datetime

from embedplane_operator.cluster import Cluster
from embedplane_operator.errors import AlreadyExistsError, ClusterError
from embedplane_operator.kinds import EMBEDDING_MODEL, EVENT, Manifest
from embedplane_operator.status import Note

logger = logging.getLogger(__name__)

CONTROLLER = "embedplane.io/operator"
NOTE_LIMIT = 1024


class Recorder:
    """Writes Events. A failure to do so is logged and never fails a reconcile."""

    def __init__(self, cluster: Cluster, instance: str) -> None:
        self._cluster = cluster
        self._instance = instance

    async def record(self, model: Manifest, note: Note) -> None:
        """Tells one thing about a model; the same thing told again raises the Event's count."""
        now = datetime.now(UTC)
        event = render_event(model, note, self._instance, now)
        namespace, name = event["metadata"]["namespace"], event["metadata"]["name"]
        try:
            try:
                await self._cluster.create(event)
            except AlreadyExistsError:
                await self._repeat(namespace, name, now)
        except ClusterError as error:
            logger.warning("Event %s of %s not written: %s", note.reason, event["regarding"]["name"], error)

    async def _repeat(self, namespace: str, name: str, now: datetime) -> None:
        # a list, because the operator may list Events but not get them
        known = await self._cluster.list(EVENT, namespace, fields=f"metadata.name={name}")
        count = max([(each.get("series") or {}).get("count", 1) for each in known], default=1) + 1
        series = {"count": count, "lastObservedTime": _microtime(now)}
        await self._cluster.merge(EVENT, namespace, name, {"series": series})


def render_event(model: Manifest, note: Note, instance: str, now: datetime) -> Manifest:
    """The Event; its name is the same for the same words about the same object."""
    metadata = model["metadata"]
    words = "\n".join((metadata["uid"], note.severity, note.reason, note.message))
    digest = hashlib.sha256(words.encode()).hexdigest()[:16]
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.kind,
        "metadata": {"name": f"{metadata['name']}.{digest}", "namespace": metadata["namespace"]},
        "eventTime": _microtime(now),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
        "action": "Reconcile",
        "reason": note.reason,
        "type": note.severity,
        "note": note.message[:NOTE_LIMIT],
        "regarding": {
            "apiVersion": EMBEDDING_MODEL.api_version,
            "kind": EMBEDDING_MODEL.kind,
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
    }


def _microtime(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
