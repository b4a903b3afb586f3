"""The kinds of objects that the operator meets, and where the API has them. Plain data; `cluster.py` does the calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Manifest = dict[str, Any]
"""A Kubernetes object as JSON: the outside is untyped."""


@dataclass(frozen=True)
class Resource:
    """One kind of the API and where it lives."""

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of one object, or of the collection when there is no name."""
        prefix = "/apis/" if "/" in self.api_version else "/api/"
        parts = [
            prefix + self.api_version,
            *(["namespaces", quote(namespace, safe="")] if namespace else []),
            self.plural,
            *([quote(name, safe="")] if name else []),
            *([subresource] if subresource else []),
        ]
        return "/".join(parts)


EMBEDDING_MODEL = Resource("embedplane.io/v1alpha1", "EmbeddingModel", "embeddingmodels")
DEPLOYMENT = Resource("apps/v1", "Deployment", "deployments")
JOB = Resource("batch/v1", "Job", "jobs")
POD = Resource("v1", "Pod", "pods")
SERVICE = Resource("v1", "Service", "services")
SERVICE_ACCOUNT = Resource("v1", "ServiceAccount", "serviceaccounts")
CLAIM = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
SECRET = Resource("v1", "Secret", "secrets")
CONFIG_MAP = Resource("v1", "ConfigMap", "configmaps")
DISRUPTION_BUDGET = Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICY = Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
EVENT = Resource("events.k8s.io/v1", "Event", "events")
LEASE = Resource("coordination.k8s.io/v1", "Lease", "leases")

RESOURCES: Mapping[str, Resource] = {
    each.kind: each
    for each in (
        EMBEDDING_MODEL,
        DEPLOYMENT,
        JOB,
        POD,
        SERVICE,
        SERVICE_ACCOUNT,
        CLAIM,
        SECRET,
        CONFIG_MAP,
        DISRUPTION_BUDGET,
        NETWORK_POLICY,
        EVENT,
        LEASE,
    )
}
