"""Why a pod does not start, in Kubernetes' own words. Pure: reads pods and Events as the API gives them.

`jobs.py` uses it for the pods of Jobs, `servers.py` for those of Deployments. Without Events, which may have expired
or be forbidden, the pod's own status says what it can.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from embedplane_operator.accelerator_profiles import AcceleratorProfile
from embedplane_operator.api.conditions import Reason
from embedplane_operator.kinds import Manifest
from embedplane_operator.scheduling import SCHEDULING_REASONS, unscheduled
from embedplane_operator.troubles import (
    Trouble,
    container_states,
    event_text,
    event_time,
    newest_warning,
)

PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
CONFIGURATION_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
STARTING_REASONS = frozenset({"ContainerCreating", "PodInitializing"})
PULL_BEGINS, PULL_ENDS = "Pulling", frozenset({"Pulled", "Failed"})
PATIENCE = timedelta(seconds=15)
"""For how long a pull is nothing to speak of."""
UNDER_WAY = frozenset({Reason.NODE_PROVISIONING, Reason.IMAGE_PULLING})
"""What keeps a pod from starting though all goes well; what does not go well is said first."""


@dataclass(frozen=True)
class PodSurroundings:
    """What tells the fate of a Job or a Deployment besides itself: its pods, and what is said of them."""

    pods: Sequence[Manifest] = ()
    events: Sequence[Manifest] = ()
    """Events about it and its pods."""
    claims: Sequence[Trouble] = ()
    """What is wrong with the claims that it mounts."""
    profiles: Mapping[str, AcceleratorProfile] = field(default_factory=dict)
    """The accelerator profiles of the installation, by name."""
    now: datetime | None = None
    """When it was looked at; None: long after anything began."""


def pending_trouble(pod: Manifest, around: PodSurroundings) -> Trouble | None:
    """Why a pod does not start; None while it simply takes its time."""
    uid = pod["metadata"].get("uid")
    events = [event for event in around.events if (event.get("regarding") or {}).get("uid") == uid]
    if no_node := unscheduled(pod, events, around.profiles):
        return around.claims[0] if around.claims else no_node
    return _waiting(pod) or _pulling(pod, events, around.now) or _unmounted(pod, events)


def _waiting(pod: Manifest) -> Trouble | None:
    for container in container_states(pod):
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        if reason in PULL_REASONS:
            return Trouble(Reason.IMAGE_PULL_FAILED, message or f"{reason}: {container.get('image')}")
        if reason in CONFIGURATION_REASONS:
            return Trouble(Reason.CONTAINER_CANNOT_START, message or reason)
    return None


def _pulling(pod: Manifest, events: Sequence[Manifest], now: datetime | None) -> Trouble | None:
    """The image that a container waits for, once that takes long enough to be worth a word."""
    for container in container_states(pod):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in STARTING_REASONS:
            continue
        begun = _unfinished_pull(str(container.get("name")), events)
        if begun is None or (now is not None and now - event_time(begun) < PATIENCE):
            continue
        node, since = (pod.get("spec") or {}).get("nodeName"), f"{event_time(begun):%H:%M:%S} UTC"
        image = container.get("image") or event_text(begun)
        words = f"node {node} pulls the image {image} for pod {pod['metadata']['name']} since {since}"
        return Trouble(Reason.IMAGE_PULLING, f"{words}; later pods find it there")
    return None


def _unfinished_pull(container: str, events: Sequence[Manifest]) -> Manifest | None:
    """The Event with which the last pull for a container began; None when it ended, or nothing is known."""
    about = [event for event in events if _container_of(event) == container]
    begins = [event for event in about if event.get("reason") == PULL_BEGINS]
    ends = [event_time(event) for event in about if event.get("reason") in PULL_ENDS]
    last = max(begins, key=event_time, default=None)
    return last if last and (not ends or max(ends) < event_time(last)) else None


def _container_of(event: Manifest) -> str:
    """The container that an Event of the kubelet is about: `spec.containers{server}`."""
    return str((event.get("regarding") or {}).get("fieldPath") or "").partition("{")[2].rstrip("}")


def _unmounted(pod: Manifest, events: Sequence[Manifest]) -> Trouble | None:
    """A volume or a sandbox that cannot be made shows in events only; it was made where a pull came after it."""
    if (pod.get("status") or {}).get("phase") != "Pending":
        return None
    warning = newest_warning([event for event in events if event.get("reason") not in SCHEDULING_REASONS])
    pulls = [event_time(event) for event in events if event.get("reason") in (PULL_BEGINS, "Pulled")]
    if warning is None or (pulls and event_time(warning) < max(pulls)):
        return None
    return Trouble(Reason.CONTAINER_CANNOT_START, event_text(warning))
