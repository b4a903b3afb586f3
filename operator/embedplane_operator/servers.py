"""What a Deployment of servers has come to: how many are ready, whether the rollout is done, what is wrong. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from embedplane_operator.api.conditions import Reason
from embedplane_operator.kinds import Manifest
from embedplane_operator.troubles import (
    CRASH_REASON,
    EXIT_NO_VARIANT,
    Trouble,
    container_states,
    creation_trouble,
    failure_of,
    last_end,
    pending_trouble,
)

MEMORY_FIELD = "spec.resources.limits.memory"


@dataclass(frozen=True)
class Servers:
    """The state of one Deployment; the defaults are that of one that does not exist."""

    exists: bool = False
    wanted: int = 0
    """`spec.replicas`."""
    replicas: int = 0
    updated: int = 0
    """Replicas of the newest template."""
    ready: int = 0
    is_current: bool = False
    """The Deployment controller has seen the newest template."""
    trouble: Trouble | None = None
    """Why a server does not become ready."""

    def is_rolled_out(self, minimum: int) -> bool:
        """True if only the newest template runs and enough of it is ready; adding a replica does not change that."""
        enough = self.ready >= max(1, min(self.wanted, minimum))
        return self.is_current and self.updated == self.replicas and enough


@dataclass(frozen=True)
class ServerSurroundings:
    """What tells the fate of a Deployment besides itself."""

    pods: Sequence[Manifest] = ()
    events: Sequence[Manifest] = ()
    claims: Sequence[Trouble] = ()


def read_servers(deployment: Manifest, around: ServerSurroundings) -> Servers:
    """Reads a Deployment with its pods."""
    status = deployment.get("status") or {}
    return Servers(
        exists=True,
        wanted=int((deployment.get("spec") or {}).get("replicas", 1)),
        replicas=int(status.get("replicas") or 0),
        updated=int(status.get("updatedReplicas") or 0),
        ready=int(status.get("readyReplicas") or 0),
        is_current=status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0),
        trouble=_refused(status) or _first_trouble(around),
    )


def _refused(status: Manifest) -> Trouble | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return creation_trouble(str(condition.get("message") or ""))
    return None


def _first_trouble(around: ServerSurroundings) -> Trouble | None:
    for pod in sorted(around.pods, key=lambda each: str(each["metadata"].get("creationTimestamp")), reverse=True):
        if "deletionTimestamp" in pod["metadata"]:
            continue
        if found := pending_trouble(pod, around.events, around.claims) or _crash(pod):
            return found
    return None


def _crash(pod: Manifest) -> Trouble | None:
    """Why a server ended; one end is enough to tell, while the kubelet starts it anew."""
    for container in container_states(pod):
        end = last_end(container)
        if container.get("ready") or end is None:
            continue
        if end.exit_code == 0:
            if found := _ended_without_error(container):
                return found
            continue
        found = failure_of(end, MEMORY_FIELD)
        if end.exit_code == EXIT_NO_VARIANT:
            return Trouble(Reason.ENGINE_INCOMPATIBLE, found.message, transient=False)
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") == CRASH_REASON and found.reason == "InternalError":
            return Trouble(Reason.CRASH_LOOP, f"{found.message}; {waiting.get('message') or ''}".rstrip("; "))
        return found
    return None


def _ended_without_error(container: Manifest) -> Trouble | None:
    """What keeps ending a server that has nothing to complain about; one such end is no trouble yet."""
    waiting = (container.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") != CRASH_REASON and int(container.get("restartCount") or 0) <= 1:
        return None
    words = (
        f"the container {container.get('name')} ends with exit code 0 again and again, as one does whose probe fails "
        "or whose command returns: see the pod's Events and the log of its last run (kubectl logs --previous)"
    )
    return Trouble(Reason.CRASH_LOOP, words)
