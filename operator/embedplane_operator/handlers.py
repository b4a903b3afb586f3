"""The kopf side: an event becomes a key in the work queue, nothing else.

kopf keeps no state of ours: with `on.event` only it writes no finalizer, annotation or status. What it filters, it
filters on the server (`settings.watching.label_selectors`), so an object that loses our label counts as deleted.
"""

from collections.abc import Callable
from typing import Any

import kopf

from embedplane_operator.index import ModelIndex
from embedplane_operator.kinds import CLAIM, DEPLOYMENT, EMBEDDING_MODEL, JOB, POD, SERVICE, Resource
from embedplane_operator.workqueue import Key, WorkQueue

OWNED = (DEPLOYMENT, JOB, POD, SERVICE, CLAIM)
OURS = "app.kubernetes.io/managed-by=embedplane"


def register(registry: kopf.OperatorRegistry, queue: WorkQueue, index: ModelIndex, beat: Callable[[], None]) -> None:
    """Connects kopf to the queue; `beat` is called at every event, to tell that the watches live."""

    @kopf.on.login(registry=registry)
    async def login(**arguments: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 -- kopf's arguments
        # reads the token from its file each time, so that a rotated one is found
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)

    @kopf.on.event(*_coordinates(EMBEDDING_MODEL), registry=registry)
    async def model_event(body: kopf.Body, **_: Any) -> None:  # noqa: ANN401 -- kopf's arguments
        beat()
        queue.add(Key(str(body["metadata"]["namespace"]), str(body["metadata"]["name"])))

    for resource in OWNED:
        _watch_owned(registry, resource, queue, index, beat)


def _watch_owned(
    registry: kopf.OperatorRegistry, resource: Resource, queue: WorkQueue, index: ModelIndex, beat: Callable[[], None]
) -> None:
    @kopf.on.event(*_coordinates(resource), registry=registry, id=f"{resource.plural}_event")
    async def owned_event(body: kopf.Body, **_: Any) -> None:  # noqa: ANN401 -- kopf's arguments
        beat()
        for key in index.concerned(resource.kind, body):
            queue.add(key)


def _coordinates(resource: Resource) -> tuple[str, str, str]:
    group, _, version = resource.api_version.rpartition("/")
    return group, version, resource.plural


def watch_settings(exit_timeout: float) -> kopf.OperatorSettings:
    """Settings of kopf as a watcher only: no Events, no peers, no scanning; dead connections are noticed in seconds."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.connect_timeout = 5
    settings.networking.error_backoffs = (0.5, 1, 1, 2, 2, 3, 3, 5)
    settings.process.ultimate_exiting_timeout = exit_timeout
    for resource in OWNED:
        group = resource.api_version.rpartition("/")[0]
        settings.watching.label_selectors[f"{resource.plural}.{group}" if group else resource.plural] = OURS
    return settings
