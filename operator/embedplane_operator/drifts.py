"""Servers whose vectors failed the check against their reference, and the condition `VectorDrift`. Pure.

A server that drifted ends and says so; its container starts anew, is checked, and becomes ready only when it passes.
"""

from collections.abc import Iterator, Sequence

from embedplane_operator.api.conditions import ConditionType, Reason
from embedplane_operator.api.status import Condition
from embedplane_operator.kinds import Manifest
from embedplane_operator.status import Finding
from embedplane_operator.troubles import container_states, last_end, read_message


def drifts_of(pods: Sequence[Manifest]) -> Iterator[str]:
    """What pods say that drifted and were not found well since, with their names and nodes."""
    for pod in pods:
        for container in container_states(pod):
            end = None if container.get("ready") else last_end(container)
            error = (read_message(end.message).get("error") or {}) if end else {}
            if error.get("reason") == Reason.VECTOR_DRIFT:
                node = (pod.get("spec") or {}).get("nodeName") or "unknown"
                yield f"pod {pod['metadata']['name']} on node {node}: {error.get('message') or 'no words'}"


def vector_drift(drifts: Sequence[str], ready: int, before: Sequence[Condition]) -> Finding | None:
    """The condition: there while a pod has drifted, and until one that was checked well serves."""
    if drifts:
        return Finding("True", Reason.VECTOR_DRIFT, "; ".join(drifts))
    said = next((each for each in before if each.type == ConditionType.VECTOR_DRIFT and each.status == "True"), None)
    return Finding("True", said.reason, said.message) if said and not ready else None
