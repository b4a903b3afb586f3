"""Whatever dies in the middle, the same state is reached, and one engine is built."""

import pytest

from tests.support.cluster import LocalCluster
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster


def job_of(namespace: Kubectl, step: str) -> str | None:
    """Return the name of the step's Job once a pod of it runs or has run."""
    jobs = namespace.names("jobs", f"app.kubernetes.io/component={step}")
    pods = namespace.list("pods", f"app.kubernetes.io/component={step}")
    started = any(pod["status"]["phase"] != "Pending" for pod in pods)
    return min(jobs) if jobs and started else None


def reached(namespace: Kubectl, step: str) -> bool:
    if step == "rollout":
        return bool(namespace.names("deployments", "app.kubernetes.io/managed-by=embedplane"))
    return job_of(namespace, step) is not None


@pytest.mark.parametrize("step", ["fetch", "export", "build", "rollout"])
def test_an_operator_killed_in_a_step_converges_after_its_restart(
    namespace: Kubectl, installation: Installation, step: str
):
    namespace.apply(embedding_model("killed", namespace.namespace))
    wait_for(
        f"{step} has started", lambda: reached(namespace, step), within=300, explain=lambda: namespace.explain("killed")
    )

    installation.kill_operator()

    namespace.wait_ready("killed")
    assert len(namespace.names("jobs", "app.kubernetes.io/component=build")) <= 1
    assert len(namespace.names("deployments", "embedplane.io/model=killed")) == 1


def test_a_restarted_api_server_and_etcd_are_survived(namespace: Kubectl, local_cluster: LocalCluster):
    namespace.apply(embedding_model("survivor", namespace.namespace))
    wait_for("export has started", lambda: reached(namespace, "export"), within=300)

    local_cluster.kill("apiserver", "etcd")
    local_cluster.up()

    namespace.wait_ready("survivor")
    assert len(namespace.names("jobs", "app.kubernetes.io/component=build")) <= 1
