"""The model's Service: it selects the servers of exactly one vector space. Pure."""

from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.deployment import space_selector
from embedplane_operator.render.manifest import endpoint_metadata
from embedplane_operator.render.names import SERVER_PORT_NAME, SERVICE_PORT
from embedplane_operator.settings import Settings


def render_service(
    model: EmbeddingModel, settings: Settings, vector_space_id: str, name: str | None = None
) -> Manifest:
    """Return the Service in front of one vector space: the model's, unless it has a name of its own."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": endpoint_metadata(model, settings, name),
        "spec": {
            "type": "ClusterIP",
            "selector": space_selector(model, vector_space_id),
            "ports": [{"name": "http", "port": SERVICE_PORT, "targetPort": SERVER_PORT_NAME, "protocol": "TCP"}],
        },
    }
