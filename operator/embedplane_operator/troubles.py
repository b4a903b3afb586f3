"""Why a pod does not do its work, in Kubernetes' own words. Pure: reads pods, events and claims as the API gives them.

`jobs.py` uses it for the pods of Jobs, `servers.py` for those of Deployments; `pending.py` knows why pods do not start.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from embedplane_operator.api.conditions import JobReason, Reason
from embedplane_operator.kinds import Manifest

EXIT_PERMANENT = 64
EXIT_NO_ENGINE = 66

CRASH_REASON = "CrashLoopBackOff"
EXCEEDED_QUOTA = re.compile(r"exceeded quota: ([^\s,]+)")
OVERDUE = timedelta(seconds=30)


@dataclass(frozen=True)
class Trouble:
    """What is wrong with one pod, Job or claim."""

    reason: str
    message: str
    transient: bool = True
    """True: it may get better by itself."""


@dataclass(frozen=True)
class Ended:
    """How a container ended."""

    exit_code: int
    reason: str
    message: str
    finished: datetime | None


@dataclass(frozen=True)
class Overdue:
    """A pod that is told to end, and what is wrong if it is still there by then."""

    since: datetime
    trouble: Trouble


def parse_time(text: object) -> datetime | None:
    """Reads a time of the API; None when there is none."""
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None


def container_states(pod: Manifest) -> Iterator[Manifest]:
    """The status of each container of a pod, init containers first."""
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def last_end(container: Manifest) -> Ended | None:
    """How a container ended most recently."""
    for state in (container.get("state") or {}, container.get("lastState") or {}):
        if ended := state.get("terminated"):
            return Ended(
                exit_code=int(ended.get("exitCode", 0)),
                reason=str(ended.get("reason") or ""),
                message=str(ended.get("message") or ""),
                finished=parse_time(ended.get("finishedAt")),
            )
    return None


def read_message(text: str) -> Manifest:
    """Parses a termination message: `{"result": ...}`, `{"error": ...}`, or nothing that we know."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def failure_of(ended: Ended, memory_field: str) -> Trouble:
    """Why a container that did not end with 0 failed; `memory_field` is what a user raises against a lack of memory."""
    if ended.reason == "OOMKilled":
        words = f"the container was killed (OOMKilled) at its memory limit: raise {memory_field}"
        return Trouble(Reason.OUT_OF_MEMORY, words, transient=False)
    error = read_message(ended.message).get("error")
    if isinstance(error, dict) and error.get("reason"):
        return Trouble(str(error["reason"]), str(error.get("message") or ""), ended.exit_code != EXIT_PERMANENT)
    if ended.exit_code == EXIT_NO_ENGINE:
        return Trouble(Reason.ENGINE_INCOMPATIBLE, ended.message or "no variant of the engine fits this machine")
    said = f": {ended.message}" if ended.message else ""
    return Trouble(JobReason.INTERNAL_ERROR, f"the container ended with exit code {ended.exit_code}{said}")


def overdue_of(pod: Manifest) -> Overdue | None:
    """From when on a pod that is told to end is held: a node that died does not say that its containers ended."""
    status, due = pod.get("status") or {}, parse_time(pod["metadata"].get("deletionTimestamp"))
    if due is None or status.get("phase") in ("Succeeded", "Failed"):
        return None
    node, name = (pod.get("spec") or {}).get("nodeName") or "unknown", pod["metadata"]["name"]
    words = (
        f"pod {name} should have ended by {due:%H:%M:%S} UTC, but its node {node} does not say so: if the node is "
        f"dead, remove it (kubectl delete node {node}), or give it the taint "
        "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute; "
        "Kubernetes then starts another pod"
    )
    return Overdue(due + OVERDUE, Trouble(Reason.NODE_LOST, words))


def creation_trouble(message: str) -> Trouble:
    """Why the API server refused to create a pod, from its words in an Event or a condition."""
    if quota := EXCEEDED_QUOTA.search(message):
        remedy = f"raise ResourceQuota {quota[1]}, or free what counts against it"
        return Trouble(Reason.QUOTA_EXCEEDED, f"{message}: {remedy} (kubectl describe resourcequota {quota[1]})")
    return Trouble(Reason.POD_FORBIDDEN, message)


def claim_trouble(claim: Manifest, events: Sequence[Manifest]) -> Trouble | None:
    """Why a claim is not bound; a claim that waits for its first pod without complaint is fine."""
    if (claim.get("status") or {}).get("phase", "Pending") == "Bound":
        return None
    warning = newest_warning(events)
    if warning is None:
        return None
    spec, name = claim.get("spec") or {}, claim["metadata"]["name"]
    storage_class = f" of storage class {spec['storageClassName']}" if spec.get("storageClassName") else ""
    return Trouble(Reason.CLAIM_PENDING, f"claim {name}{storage_class} is not bound: {event_text(warning)}")


def newest_warning(events: Sequence[Manifest]) -> Manifest | None:
    """The most recent Warning among Events."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    return max(warnings, key=event_time, default=None)


def event_text(event: Manifest) -> str:
    """What an Event says."""
    return str(event.get("note") or event.get("message") or event.get("reason") or "")


def event_time(event: Manifest) -> datetime:
    """When an Event happened last."""
    return _first_time(event, (event.get("series") or {}).get("lastObservedTime"), event.get("deprecatedLastTimestamp"))


def event_began(event: Manifest) -> datetime:
    """When an Event happened first."""
    return _first_time(event, event.get("deprecatedFirstTimestamp"))


def _first_time(event: Manifest, *told: object) -> datetime:
    created = (event.get("metadata") or {}).get("creationTimestamp")
    found = next(filter(None, map(parse_time, (*told, event.get("eventTime"), created))), None)
    return found or datetime.min.replace(tzinfo=UTC)


def unscheduled_condition(pod: Manifest) -> Manifest | None:
    """What says that no node has taken the pod yet; None when one has, or nobody has looked."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next(
        (each for each in conditions if each.get("type") == "PodScheduled" and each.get("status") == "False"), None
    )
