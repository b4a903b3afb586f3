"""The PodDisruptionBudget of a model with more than one replica. Pure."""

from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.deployment import space_selector
from embedplane_operator.render.manifest import owner_of, owner_reference, ownership_labels
from embedplane_operator.render.names import LABEL_MODEL, SERVER, service_name
from embedplane_operator.settings import Settings


def render_disruption_budget(model: EmbeddingModel, settings: Settings, vector_space_id: str) -> Manifest | None:
    """Return the budget, or None for a single replica: it would only block the draining of its node."""
    if model.spec.scaling.max_replicas == 1:
        return None
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": service_name(model),
            "namespace": model.metadata.namespace,
            "labels": ownership_labels(settings, SERVER) | {LABEL_MODEL: model.metadata.name},
            "ownerReferences": [owner_reference(owner_of(model), is_controller=True)],
        },
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": space_selector(model, vector_space_id)},
        },
    }
