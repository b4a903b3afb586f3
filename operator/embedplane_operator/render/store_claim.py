"""The claim that holds models, exports and engines of a namespace: made when absent, never altered, no owner. Pure."""

from embedplane_operator.kinds import Manifest
from embedplane_operator.render.manifest import ownership_labels
from embedplane_operator.render.names import STORE_CLAIM
from embedplane_operator.settings import Settings


def render_store_claim(namespace: str, settings: Settings) -> Manifest:
    """Return the namespace's claim; without a class it gets the cluster's default."""
    storage_class = settings.store.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": STORE_CLAIM, "namespace": namespace, "labels": ownership_labels(settings)},
        "spec": {
            "accessModes": [settings.store.access_mode],
            "resources": {"requests": {"storage": str(settings.store.size)}},
            **({"storageClassName": storage_class} if storage_class else {}),
        },
    }
