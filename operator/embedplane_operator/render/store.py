"""Where a pod finds the store: a claim, or object storage with the credentials for it. Pure.

A pod that uses object storage works on copies in its own /tmp, which is bounded.
"""

import math
from dataclasses import dataclass
from urllib.parse import urlencode

from embedplane_operator.kinds import Manifest
from embedplane_operator.render.names import LABEL_STORE, STORE_CLAIM
from embedplane_operator.settings import Settings

STORE_PATH = "/store"
CREDENTIALS_PATH = "/var/run/secrets/embedplane/store"
COPIES = 4
SPARE_MEBIBYTES = 1024


@dataclass(frozen=True)
class StoreAccess:
    """What a container needs to use the store."""

    url: str
    mounts: tuple[Manifest, ...]
    volumes: tuple[Manifest, ...]
    scratch: Manifest
    """The emptyDir of /tmp."""


def store_access(settings: Settings, namespace: str, *, writes: bool, model_bytes: int | None = None) -> StoreAccess:
    """Return the access of one pod; `model_bytes` is the size of the one model that a server holds."""
    if not settings.store.is_remote:
        # read-only for the container, not for the volume: some drivers cannot attach one claim in both ways
        mount = {"name": "store", "mountPath": STORE_PATH, "readOnly": None if writes else True}
        volume = {"name": "store", "persistentVolumeClaim": {"claimName": STORE_CLAIM}}
        return StoreAccess(f"file://{STORE_PATH}", (mount,), (volume,), {})
    secret = settings.store.secrets.jobs if writes else settings.store.secrets.servers
    limit = str(settings.store.size) if model_bytes is None else _room_for(model_bytes)
    mounts: tuple[Manifest, ...] = ()
    volumes: tuple[Manifest, ...] = ()
    if secret:
        mounts = ({"name": "store-credentials", "mountPath": CREDENTIALS_PATH, "readOnly": True},)
        volumes = ({"name": "store-credentials", "secret": {"secretName": secret, "defaultMode": 0o440}},)
    return StoreAccess(_url(settings, namespace, with_secret=bool(secret)), mounts, volumes, {"sizeLimit": limit})


def store_labels(settings: Settings) -> dict[str, str]:
    """Return the label of pods that mount the claim: by it they find each other where it is bound to a node."""
    return {} if settings.store.is_remote else {LABEL_STORE: STORE_CLAIM}


def _url(settings: Settings, namespace: str, *, with_secret: bool) -> str:
    store = settings.store
    given = {
        "endpoint": store.endpoint,
        "region": store.region,
        "credentials": CREDENTIALS_PATH if with_secret else None,
    }
    query = urlencode({name: value for name, value in given.items() if value}, safe="/:")
    place = str(store.url).rstrip("/") + ("" if store.shared else f"/{namespace}")
    return f"{place}?{query}" if query else place


def _room_for(model_bytes: int) -> str:
    """An engine in float32 is twice a model in 16 bits; the pod is evicted where the room is too small."""
    return f"{SPARE_MEBIBYTES + COPIES * math.ceil(model_bytes / 2**20)}Mi"
