"""Whatever dies in the middle, the same state is reached, and one engine is built."""

from functools import partial

import pytest

from tests.support.cluster import LocalCluster
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster


def has_started(namespace: Kubectl, step: str) -> bool:
    """True once a pod of the step's Job runs or has run."""
    pods = namespace.list("pods", f"app.kubernetes.io/component={step}")
    return any(pod["status"]["phase"] != "Pending" for pod in pods)


def is_rolling_out(namespace: Kubectl) -> bool:
    return bool(namespace.names("deployments", "app.kubernetes.io/managed-by=embedplane"))


def test_an_operator_that_is_killed_in_every_step_converges(namespace: Kubectl, installation: Installation):
    def explain() -> str:
        return namespace.explain("killed")

    namespace.apply(embedding_model("killed", namespace.namespace))
    for step in ("fetch", "export", "build"):
        wait_for(f"{step} has started", partial(has_started, namespace, step), explain=explain)
        installation.kill_operator()
    wait_for("servers are wanted", lambda: is_rolling_out(namespace), explain=explain)
    installation.kill_operator()

    namespace.wait_ready("killed")
    assert len(namespace.names("jobs", "app.kubernetes.io/component=build")) <= 1
    assert len(namespace.names("deployments", "embedplane.io/model=killed")) == 1


def test_a_restarted_api_server_and_etcd_are_survived(namespace: Kubectl, local_cluster: LocalCluster):
    namespace.apply(embedding_model("survivor", namespace.namespace))
    wait_for("export has started", lambda: has_started(namespace, "export"))

    local_cluster.kill("apiserver", "etcd")
    local_cluster.up()

    namespace.wait_ready("survivor")
    assert len(namespace.names("jobs", "app.kubernetes.io/component=build")) <= 1
