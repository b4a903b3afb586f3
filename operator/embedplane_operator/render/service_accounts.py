"""The ServiceAccounts of a namespace's Jobs and servers: names without any rights, no owner. Pure."""

from embedplane_operator.kinds import Manifest
from embedplane_operator.render.manifest import ownership_labels
from embedplane_operator.render.names import JOB_SERVICE_ACCOUNT, SERVER_SERVICE_ACCOUNT
from embedplane_operator.settings import Settings


def render_service_accounts(namespace: str, settings: Settings) -> list[Manifest]:
    """Return the two accounts that every namespace with models has."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace, "labels": ownership_labels(settings)},
            "automountServiceAccountToken": False,
        }
        for name in (JOB_SERVICE_ACCOUNT, SERVER_SERVICE_ACCOUNT)
    ]
