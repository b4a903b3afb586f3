"""Since when pods find no node with room for them. Pure: reads pods as the API gives them.

`troubles.py` has the words for it; here is the time, which Kubernetes keeps, so that no restart of ours loses it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from embedplane_operator.kinds import Manifest
from embedplane_operator.troubles import parse_time, unscheduled_condition

UNSCHEDULABLE = "Unschedulable"


@dataclass(frozen=True)
class NoRoom:
    """What is waited for has no node."""

    since: datetime
    message: str
    """Why, as it is reported."""


def without_node_since(pods: Sequence[Manifest]) -> datetime | None:
    """Since when no pod has a node, because there is no room; None where one has, or there is no pod."""
    times = [_unscheduled_since(pod) for pod in pods if not _is_over(pod)]
    known = [time for time in times if time]
    return max(known) if known and len(known) == len(times) else None


def _unscheduled_since(pod: Manifest) -> datetime | None:
    condition = unscheduled_condition(pod)
    # a pod may be held back from the scheduler as well (SchedulingGated): that is no want of room
    if condition is None or condition.get("reason", UNSCHEDULABLE) != UNSCHEDULABLE:
        return None
    return parse_time(condition.get("lastTransitionTime"))


def _is_over(pod: Manifest) -> bool:
    is_done = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return is_done or "deletionTimestamp" in pod["metadata"]
