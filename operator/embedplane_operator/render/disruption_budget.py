"""The PodDisruptionBudget of a model with more than one replica. Pure."""

from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.deployment import space_selector
from embedplane_operator.render.manifest import endpoint_metadata
from embedplane_operator.settings import Settings


def render_disruption_budget(
    model: EmbeddingModel, settings: Settings, vector_space_id: str, name: str | None = None
) -> Manifest | None:
    """Return the budget, or None for a single replica: it would only block the draining of its node."""
    if model.spec.scaling.max_replicas == 1:
        return None
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": endpoint_metadata(model, settings, name),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": space_selector(model, vector_space_id)},
        },
    }
