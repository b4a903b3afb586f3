"""Why no node takes a pod: the scheduler's words, and an autoscaler's about the node that it brings or not. Pure.

The scheduler's are in the pod's condition, an autoscaler's only in Events about the pod: those of the cluster
autoscaler (GKE's has one of its own) and of Karpenter, which EKS Auto Mode and AKS node auto-provisioning run as well.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from embedplane_operator.accelerator_profiles import AcceleratorProfile
from embedplane_operator.api.conditions import Reason
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.pools import profile_of_pod
from embedplane_operator.troubles import Trouble, event_began, event_text, event_time, unscheduled_condition

NODE_COMES = frozenset({"TriggeredScaleUp", "Nominated"})
NODE_REFUSED = frozenset({"NotTriggerScaleUp", "FailedScaleUp"})
UNSCHEDULED = "FailedScheduling"
"""The scheduler's reason, and Karpenter's when it brings no node."""
KARPENTER_REFUSES = "Failed to schedule pod"
SCHEDULING_REASONS = NODE_COMES | NODE_REFUSED | {UNSCHEDULED}
"""Of Events that say nothing any more once a node has taken the pod."""

OTHER_LABELS = "node(s) didn't match Pod's node affinity/selector"
TAINTED = "untolerated taint"
NO_NODE = "no nodes available to schedule pods"
TALLY = re.compile(r"\d+/\d+ nodes are available: (?P<reasons>.*?)\.(?: |$)")
COUNTED = re.compile(r"(?:^|, )(?P<count>\d+) (?P<reason>.*?)(?=, \d+ |$)")


@dataclass(frozen=True)
class Wish:
    """Where a pod wants to run."""

    pod: str
    labels: str
    """Its node selector as people write it: `a=b,c=d`."""
    profile: str | None
    resource: str | None
    """The accelerator that it asks for."""

    @property
    def place(self) -> str:
        """What the node would be, for people."""
        selected = f"the labels {self.labels}" if self.labels else "what the pod's node affinity asks for"
        return f"{selected} (accelerator profile {self.profile})" if self.profile else selected

    @property
    def source(self) -> str:
        """The fields that say so."""
        own = "spec.podTemplate"
        return f"acceleratorProfiles.{self.profile} in the Helm values, or {own}" if self.profile else own


def unscheduled(
    pod: Manifest, events: Sequence[Manifest], profiles: Mapping[str, AcceleratorProfile]
) -> Trouble | None:
    """Why no node takes the pod; None when one did. `events` are those about the pod."""
    words = _scheduler_words(pod)
    if words is None:
        return None
    wish = _wish_of(pod, profiles)
    return _autoscaler_trouble(wish, events, words) or _pool_trouble(wish, words)


def _scheduler_words(pod: Manifest) -> str | None:
    condition = unscheduled_condition(pod)
    return None if condition is None else str(condition.get("message") or "no node takes the pod")


def _wish_of(pod: Manifest, profiles: Mapping[str, AcceleratorProfile]) -> Wish:
    spec = pod.get("spec") or {}
    labels = ",".join(f"{key}={value}" for key, value in sorted((spec.get("nodeSelector") or {}).items()))
    name = profile_of_pod(spec, profiles)
    return Wish(pod["metadata"]["name"], labels, name, profiles[name].resource_name if name else None)


def _autoscaler_trouble(wish: Wish, events: Sequence[Manifest], words: str) -> Trouble | None:
    """What an autoscaler said last; before it said anything, and where there is none, the scheduler's words count."""
    said = [event for event in events if event.get("reason") in NODE_COMES or _is_refusal(event)]
    last = max(said, key=lambda event: (event_time(event), event.get("reason") in NODE_COMES), default=None)
    if last is None:
        return None
    who, note = _speaker(last), _in_order(event_text(last).strip())
    if last.get("reason") in NODE_COMES:
        since = f"{event_began(last):%H:%M:%S} UTC"
        message = f"{who} brings a node for pod {wish.pod} since {since}: {note}. Until it is there: {words}"
        return Trouble(Reason.NODE_PROVISIONING, message)
    other = ", or name another spec.accelerator.profile" if wish.profile else ""
    remedy = f"raise the limit of the node pool or the cloud's quota for {wish.place}, or free a node{other}"
    return Trouble(Reason.SCALE_UP_REFUSED, f"{who} brings no node for pod {wish.pod}: {note}. {words} To do: {remedy}")


def _in_order(note: str) -> str:
    """The cluster autoscaler counts its reasons in another order each time, which is no news."""
    head, _, reasons = note.partition(": ")
    counted = reasons.split(", ")
    return f"{head}: {', '.join(sorted(counted))}" if all(each[:1].isdigit() for each in counted) else note


def _is_refusal(event: Manifest) -> bool:
    is_karpenter_s = event.get("reason") == UNSCHEDULED and event_text(event).startswith(KARPENTER_REFUSES)
    return is_karpenter_s or event.get("reason") in NODE_REFUSED


def _speaker(event: Manifest) -> str:
    return str(
        event.get("reportingController") or (event.get("deprecatedSource") or {}).get("component") or "an autoscaler"
    )


def _pool_trouble(wish: Wish, words: str) -> Trouble:
    """Tells a pool without a node from one whose nodes are full."""
    reasons = read_tally(words)
    if _has_no_node(reasons, words):
        tainted = sum(count for reason, count in reasons.items() if TAINTED in reason)
        message = f"no node has {wish.place}: add a node with them, or correct {wish.source}"
        if tainted:
            message += f"; if it is among the {tainted} with a taint, add a toleration there"
        return Trouble(Reason.NO_MATCHING_NODE, f"{message}. The scheduler: {words}")
    if wish.resource and f"Insufficient {wish.resource}" in reasons:
        full = f"every {wish.resource} of the nodes with {wish.place} is taken, or not offered by its node yet"
        return Trouble(Reason.UNSCHEDULABLE, f"{words} So {full}: add a node, or free one")
    return Trouble(Reason.UNSCHEDULABLE, words)


def _has_no_node(reasons: Mapping[str, int], words: str) -> bool:
    """True where labels keep nodes out and nothing else does, taints apart: those are looked at before the labels."""
    if words.startswith(NO_NODE):
        return True
    return OTHER_LABELS in reasons and all(reason == OTHER_LABELS or TAINTED in reason for reason in reasons)


def read_tally(words: str) -> dict[str, int]:
    """How many nodes are kept out by which reason, as the scheduler counts them; a node may have several."""
    found = TALLY.search(words)
    counts = COUNTED.finditer(found["reasons"]) if found else ()
    return {match["reason"]: int(match["count"]) for match in counts}
