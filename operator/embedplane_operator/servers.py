"""What a Deployment of servers has come to: how many are ready, whether the rollout is done, what is wrong. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from embedplane_operator.api.conditions import Reason
from embedplane_operator.api.repair import Lack, Repair, read_repair
from embedplane_operator.api.resolved import read_resolved
from embedplane_operator.drifts import drifts_of
from embedplane_operator.kinds import Manifest
from embedplane_operator.pending import UNDER_WAY, PodSurroundings, pending_trouble
from embedplane_operator.troubles import (
    CRASH_REASON,
    EXIT_NO_ENGINE,
    Ended,
    Trouble,
    container_states,
    creation_trouble,
    failure_of,
    last_end,
    parse_time,
    read_message,
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
    fails: bool = False
    """A server ended with an error, and has not become ready since."""
    drifts: tuple[str, ...] = ()
    """What servers said whose vectors failed the check against their reference."""
    lacks: tuple[Lack, ...] = ()
    """What servers found that have no engine to load, the newest first."""
    repair: Repair = field(default_factory=lambda: Repair(engine=""))
    """What was done about that so far."""

    @property
    def is_whole(self) -> bool:
        """True if every server that is wanted takes requests, and none is left over that cannot."""
        return self.is_current and 0 < self.wanted <= self.ready and not self.lacks

    def is_rolled_out(self, minimum: int) -> bool:
        """True if only the newest template runs and enough of it is ready; adding a replica does not change that."""
        enough = self.ready >= max(1, min(self.wanted, minimum))
        return self.is_current and self.updated == self.replicas and enough


def read_servers(deployment: Manifest, around: PodSurroundings) -> Servers:
    """Reads a Deployment with its pods."""
    status = deployment.get("status") or {}
    repair = _repair_of(deployment)
    pods = [pod for pod in around.pods if "deletionTimestamp" not in pod["metadata"]]
    pods.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)
    return Servers(
        exists=True,
        wanted=int((deployment.get("spec") or {}).get("replicas", 1)),
        replicas=int(status.get("replicas") or 0),
        updated=int(status.get("updatedReplicas") or 0),
        ready=int(status.get("readyReplicas") or 0),
        is_current=status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0),
        trouble=_refused(status) or _first_trouble(pods, around, repair),
        fails=any(_crash(pod, repair) for pod in pods),
        drifts=tuple(drifts_of(pods)),
        lacks=tuple(sorted(_lacks(pods, repair.engine), key=lambda lack: lack.ended, reverse=True)),
        repair=repair,
    )


def _repair_of(deployment: Manifest) -> Repair:
    annotations = deployment["metadata"].get("annotations") or {}
    resolved = read_resolved(annotations)
    return read_repair(annotations, resolved.engine.key if resolved else "")


def _refused(status: Manifest) -> Trouble | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return creation_trouble(str(condition.get("message") or ""))
    return None


def _first_trouble(pods: Sequence[Manifest], around: PodSurroundings, repair: Repair) -> Trouble | None:
    """The newest pod's; that one is simply on its way is said where nothing is amiss."""
    found = [trouble for pod in pods if (trouble := pending_trouble(pod, around) or _crash(pod, repair))]
    return min(found, key=lambda trouble: trouble.reason in UNDER_WAY, default=None)


def _lacks(pods: Sequence[Manifest], engine: str) -> Iterator[Lack]:
    """What the pods say that lack this engine; those of an earlier one, about to go, do not count."""
    for pod in pods:
        for container in container_states(pod):
            if not container.get("ready") and (found := _lack(pod, container, engine)):
                yield found


def _lack(pod: Manifest, container: Manifest, engine: str) -> Lack | None:
    end = last_end(container)
    if end is None or end.exit_code != EXIT_NO_ENGINE:
        return None
    said = read_message(end.message).get("error") or {}
    ended = end.finished or parse_time(pod["metadata"].get("creationTimestamp"))
    if ended is None or said.get("engine", engine) != engine:
        return None
    found = failure_of(end, MEMORY_FIELD)
    node, machine = (pod.get("spec") or {}).get("nodeName"), str(said.get("machine") or "")
    return Lack(reason=found.reason, message=found.message, machine=machine, node=node, ended=ended)


def _crash(pod: Manifest, repair: Repair) -> Trouble | None:
    """Why a server ended; one end is enough to tell, while the kubelet starts it anew."""
    for container in container_states(pod):
        end = last_end(container)
        if container.get("ready") or end is None:
            continue
        if found := _end(pod, container, end, repair):
            return found
    return None


def _end(pod: Manifest, container: Manifest, end: Ended, repair: Repair) -> Trouble | None:
    if end.exit_code == 0:
        return _ended_without_error(container)
    if lack := _lack(pod, container, repair.engine):
        return _unrepaired(lack, repair)
    found = failure_of(end, MEMORY_FIELD)
    waiting = (container.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") == CRASH_REASON and found.reason == "InternalError":
        return Trouble(Reason.CRASH_LOOP, f"{found.message}; {waiting.get('message') or ''}".rstrip("; "))
    return found


def _unrepaired(lack: Lack, repair: Repair) -> Trouble | None:
    """None for a server that ended before the engine was built, and has not been started anew yet."""
    built = repair.done.get(lack.machine)
    if built is None:
        return Trouble(lack.reason, lack.message)
    if lack.ended <= built:
        return None
    remedy = (
        "let spec.podTemplate choose nodes of one kind (one GPU with one driver, or one class of CPUs), or on CPUs set "
        "spec.engine.precision to float32"
        if lack.machine
        else "check that Jobs and servers see the same store"
    )
    words = (
        f"{lack.message} It was built again at {built:%Y-%m-%d %H:%M} UTC, which did not help: {remedy}; to have it "
        "tried once more, delete the Deployment"
    )
    return Trouble(lack.reason, words, transient=False)


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
