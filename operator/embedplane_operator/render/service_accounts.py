"""The ServiceAccounts of a namespace's Jobs and servers: names without any rights in the cluster, no owner. Pure.

A cloud may know them: their annotations are how pods get its identities for a store in object storage.
"""

from embedplane_operator.kinds import Manifest
from embedplane_operator.render.manifest import ownership_labels
from embedplane_operator.render.names import JOB_SERVICE_ACCOUNT, SERVER_SERVICE_ACCOUNT
from embedplane_operator.settings import Settings


def render_service_accounts(namespace: str, settings: Settings) -> list[Manifest]:
    """Return the two accounts that every namespace with models has."""
    given = settings.store.service_account_annotations
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": ownership_labels(settings),
                **({"annotations": dict(annotations)} if annotations else {}),
            },
            "automountServiceAccountToken": False,
        }
        for name, annotations in ((JOB_SERVICE_ACCOUNT, given.jobs), (SERVER_SERVICE_ACCOUNT, given.servers))
    ]
