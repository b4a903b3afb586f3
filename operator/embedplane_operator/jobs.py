"""What a Job of ours has come to: running, done with a result, or failed with a reason. Pure.

`observe.py` reads the Jobs, their pods and Events; `decide/steps.py` decides what follows.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from embedplane_operator.api.accelerator import AcceleratorStatus, read_accelerator
from embedplane_operator.api.conditions import Reason
from embedplane_operator.kinds import Manifest
from embedplane_operator.no_room import without_node_since
from embedplane_operator.pending import PodSurroundings, pending_trouble
from embedplane_operator.render.names import (
    ANNOTATION_ATTEMPT,
    ANNOTATION_TRIGGER,
    COLLECT,
    FETCH,
    LABEL_COMPONENT,
    RESOLVE,
)
from embedplane_operator.troubles import (
    Ended,
    Overdue,
    Trouble,
    container_states,
    creation_trouble,
    event_text,
    failure_of,
    last_end,
    newest_warning,
    overdue_of,
    parse_time,
    read_message,
)

Phase = Literal["Running", "Complete", "Failed"]

MEMORY_FIELDS = dict.fromkeys(
    (FETCH, RESOLVE, COLLECT), "jobs.fetch.resources.limits.memory in the values of the installation"
)
DEADLINE_FIELDS = dict.fromkeys(
    (FETCH, RESOLVE, COLLECT), "jobs.fetch.activeDeadlineSeconds in the values of the installation"
)


@dataclass(frozen=True)
class JobRun:
    """One Job of ours and what became of it."""

    name: str
    uid: str
    resource_version: str
    step: str
    phase: Phase
    deleting: bool
    started: bool
    """A container of it ran, runs, or will once its image is there."""
    attempt: int
    triggers: Mapping[str, str]
    """By uid of the waiting model: the hash of what, when it changes, makes a failed Job run again at once."""
    created: datetime | None
    finished: datetime | None
    owners: tuple[Manifest, ...]
    result: Mapping[str, Any] | None
    """What a Complete Job reported; None when its pod is gone."""
    trouble: Trouble | None
    """Why it failed, or what keeps it from running."""
    no_room_since: datetime | None = None
    """When it began to wait for a node with room."""
    accelerator: AcceleratorStatus | None = None
    """The profile in use when it was made; fetches and builds say so."""
    overdue: Overdue | None = None
    """When the end of its pod, which makes room for another, takes too long."""

    def trouble_at(self, now: datetime) -> Trouble | None:
        """What is in its way by now."""
        return self.overdue.trouble if self.overdue and now >= self.overdue.since else self.trouble

    def is_owned_by(self, uid: str) -> bool:
        """True if the model with this uid waits, or waited, for it."""
        return any(owner.get("uid") == uid for owner in self.owners)


def read_job(job: Manifest, around: PodSurroundings) -> JobRun:
    """Reads a Job with its surroundings."""
    metadata = job["metadata"]
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    step = str(labels.get(LABEL_COMPONENT, ""))
    phase, finished = _phase(job)
    pods = sorted(
        (pod for pod in around.pods if _made_by(job, pod)),
        key=lambda pod: str(pod["metadata"].get("creationTimestamp")),
        reverse=True,
    )
    ends = [end for pod in pods for container in container_states(pod) if (end := last_end(container))]
    result, trouble = (_result(ends) if phase == "Complete" else None), None
    if phase == "Complete" and ends and result is None:
        phase, trouble = (
            "Failed",
            Trouble(Reason.JOB_FAILED, f"the {step} Job ended without an answer that can be read"),
        )
    elif phase == "Failed":
        trouble = _failure(job, pods, ends, step)
    elif phase == "Running":
        trouble = _obstacle(pods, ends, around, step)
    return JobRun(
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        step=step,
        phase=phase,
        deleting="deletionTimestamp" in metadata,
        started=bool(ends) or any(_runs(pod) for pod in pods) or _is_pulling(trouble),
        attempt=_integer(annotations.get(ANNOTATION_ATTEMPT)),
        triggers=read_triggers(annotations.get(ANNOTATION_TRIGGER)),
        created=parse_time(metadata.get("creationTimestamp")),
        finished=finished,
        owners=tuple(metadata.get("ownerReferences") or ()),
        result=result,
        trouble=trouble,
        no_room_since=without_node_since(pods[:1]) if phase == "Running" and not around.claims else None,
        accelerator=read_accelerator(annotations),
        overdue=overdue_of(pods[0]) if pods and phase == "Running" else None,
    )


def _made_by(job: Manifest, pod: Manifest) -> bool:
    """False for pods of an earlier Job of the same name that are on their way out."""
    return any(owner.get("uid") == job["metadata"]["uid"] for owner in pod["metadata"].get("ownerReferences") or ())


def read_triggers(text: object) -> dict[str, str]:
    """Reads the annotation of triggers, by uid; an empty one when it is missing or not ours."""
    try:
        found = json.loads(str(text))
    except ValueError:
        return {}
    return {str(uid): str(trigger) for uid, trigger in found.items()} if isinstance(found, dict) else {}


def write_triggers(triggers: Mapping[str, str]) -> str:
    """The annotation that `read_triggers` reads."""
    return json.dumps(dict(sorted(triggers.items())), separators=(",", ":"))


def _phase(job: Manifest) -> tuple[Phase, datetime | None]:
    for condition in (job.get("status") or {}).get("conditions") or ():
        # SuccessCriteriaMet and FailureTarget come earlier, while pods still run
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            phase: Phase = "Complete" if condition["type"] == "Complete" else "Failed"
            return phase, parse_time(condition.get("lastTransitionTime"))
    return "Running", None


def _result(ends: Sequence[Ended]) -> Mapping[str, Any] | None:
    for end in ends:
        result = read_message(end.message).get("result")
        if end.exit_code == 0 and isinstance(result, dict):
            return result
    return None


def _failure(job: Manifest, pods: Sequence[Manifest], ends: Sequence[Ended], step: str) -> Trouble:
    if any((pod.get("status") or {}).get("reason") == Reason.DEADLINE_EXCEEDED for pod in pods):
        return Trouble(
            Reason.DEADLINE_EXCEEDED, f"the {step} Job ran longer than it may: raise {_deadline(step)}", False
        )
    for end in ends:
        if end.exit_code != 0:
            return failure_of(end, _memory(step))
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Failed":
            return Trouble(
                Reason.JOB_FAILED, f"the {step} Job failed: {condition.get('message') or 'no pod of it is left'}"
            )
    return Trouble(Reason.JOB_FAILED, f"the {step} Job failed without a word")


def _obstacle(pods: Sequence[Manifest], ends: Sequence[Ended], around: PodSurroundings, step: str) -> Trouble | None:
    """What keeps a Job from running; an earlier pod's failure while the Job controller prepares the next."""
    if not pods:
        warning = newest_warning(around.events)
        return creation_trouble(event_text(warning)) if warning else None
    if _runs(pods[0]):
        return None
    if found := pending_trouble(pods[0], around):
        return found
    failed = next((end for end in ends if end.exit_code != 0), None)
    return failure_of(failed, _memory(step)) if failed else None


def _runs(pod: Manifest) -> bool:
    return any("running" in (container.get("state") or {}) for container in container_states(pod))


def _is_pulling(trouble: Trouble | None) -> bool:
    return trouble is not None and trouble.reason == Reason.IMAGE_PULLING


def _memory(step: str) -> str:
    return MEMORY_FIELDS.get(step, "spec.engine.jobs.resources.limits.memory")


def _deadline(step: str) -> str:
    return DEADLINE_FIELDS.get(step, "spec.engine.jobs.activeDeadlineSeconds")


def _integer(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isdigit() else 1
