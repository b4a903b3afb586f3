"""The server pods of a model, as a test ends them and waits for others."""

from collections.abc import Set as AbstractSet

from tests.support.kubectl import Kubectl, Manifest, is_going
from tests.support.waiting import wait_for


def ready_servers(kubectl: Kubectl, model: str) -> list[Manifest]:
    """Return the pods that take requests; those that are told to end do not count, though some still do."""
    return [pod for pod in kubectl.list("pods", _selector(model)) if _is_ready(pod) and not is_going(pod)]


def end_servers(kubectl: Kubectl, model: str) -> frozenset[str]:
    """Delete all servers of a model, which its Deployment replaces, and return their uids."""
    ended = frozenset(pod["metadata"]["uid"] for pod in kubectl.list("pods", _selector(model)))
    kubectl.run("delete", "pods", "-l", _selector(model), "--wait=false")
    return ended


def wait_for_other_servers(kubectl: Kubectl, model: str, ended: AbstractSet[str]) -> list[Manifest]:
    """Wait until servers take requests, and none of those with these uids is left; return them."""

    def look() -> list[Manifest] | None:
        pods = kubectl.list("pods", _selector(model))
        if ended & {pod["metadata"]["uid"] for pod in pods}:
            return None
        return [pod for pod in pods if _is_ready(pod) and not is_going(pod)]

    return wait_for(f"{model} has other servers", look, explain=lambda: kubectl.explain(model))


def _selector(model: str) -> str:
    return f"embedplane.io/model={model},app.kubernetes.io/component=server"


def _is_ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
