"""The pod that all of Embedplane's pods are: restricted Pod Security, the store, /tmp, and no API token. Pure.

What differs comes in as a `Container` and a `Placement`; `job.py` and `deployment.py` wrap the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from embedplane_operator.kinds import Manifest
from embedplane_operator.render.manifest import without_empty
from embedplane_operator.render.store import StoreAccess
from embedplane_operator.settings import PodSecurity, Settings

SCRATCH_PATH = "/tmp"  # noqa: S108 -- an emptyDir in the pod


@dataclass(frozen=True)
class Container:
    """What one kind of pod runs: `command` is the server package's, and names the container."""

    command: str
    image: str
    environment: Mapping[str, str]
    resources: Manifest
    store: StoreAccess
    name: str = ""
    user_environment: tuple[Manifest, ...] = ()
    """The user's variables; they win over ours of the same name."""
    extra: Manifest = field(default_factory=dict)
    """Further fields of the container: ports, probes."""
    mounts: tuple[Manifest, ...] = ()
    volumes: tuple[Manifest, ...] = ()


def render_pod_spec(settings: Settings, container: Container, placement: Manifest, service_account: str) -> Manifest:
    """Return the `spec` of a pod around one container."""
    spec = {
        "serviceAccountName": service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _pod_security(settings.pod_security),
        "containers": [_container(settings, container)],
        "volumes": [*container.store.volumes, {"name": "tmp", "emptyDir": container.store.scratch}, *container.volumes],
        **placement,
    }
    cleaned: Manifest = without_empty(spec)
    return cleaned


def _environment(settings: Settings, container: Container) -> list[Manifest]:
    ours = {
        "HOME": SCRATCH_PATH,
        "TMPDIR": SCRATCH_PATH,
        "EMBEDPLANE_STORE": container.store.url,
        "EMBEDPLANE_LOG_LEVEL": settings.log_level,
        **container.environment,
    }
    variables = {name: {"name": name, "value": value} for name, value in ours.items()}
    return list((variables | {each["name"]: each for each in container.user_environment}).values())


def _container(settings: Settings, container: Container) -> Manifest:
    return {
        "name": container.name or container.command,
        "image": container.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["python", "-m", "embedplane_server"],
        "args": [container.command],
        "workingDir": SCRATCH_PATH,
        "env": _environment(settings, container),
        "resources": container.resources or None,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        },
        "volumeMounts": [
            *container.store.mounts,
            {"name": "tmp", "mountPath": SCRATCH_PATH},
            *container.mounts,
        ],
        **container.extra,
    }


def _pod_security(identity: PodSecurity) -> Manifest:
    return {
        "runAsNonRoot": True,
        "runAsUser": identity.run_as_user,
        "runAsGroup": identity.run_as_group,
        "fsGroup": identity.fs_group,
        "fsGroupChangePolicy": "OnRootMismatch" if identity.fs_group else None,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
