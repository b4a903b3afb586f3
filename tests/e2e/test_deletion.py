"""Deleting a model takes every child with it, whether the operator runs or not."""

import pytest

from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster

OWNED = "deployments,services,jobs,pods,poddisruptionbudgets"
QUICK = {"drainDelaySeconds": 1}


def children(kubectl: Kubectl, model: str) -> set[str]:
    labels = f"app.kubernetes.io/managed-by=embedplane,embedplane.io/model={model}"
    return {f"{item['kind']}/{item['metadata']['name']}" for item in kubectl.list(OWNED, labels)}


def wait_until_no_child_is_left(kubectl: Kubectl, model: str) -> None:
    wait_for("no child is left", lambda: not children(kubectl, model), explain=lambda: str(children(kubectl, model)))


def test_every_child_goes_with_the_model(shared: Kubectl):
    scaling = {"minReplicas": 1, "maxReplicas": 2}
    shared.apply(embedding_model("gone", shared.namespace, scaling=scaling, serving=QUICK))
    shared.wait_ready("gone")
    kinds = {child.partition("/")[0] for child in children(shared, "gone")}
    assert kinds >= {"Deployment", "Service", "Pod", "PodDisruptionBudget"}

    shared.delete("embeddingmodel", "gone")

    wait_until_no_child_is_left(shared, "gone")


def test_deleting_does_not_hang_while_the_operator_is_stopped(shared: Kubectl, installation: Installation):
    shared.apply(embedding_model("orphan", shared.namespace, serving=QUICK))
    shared.wait_ready("orphan")
    assert children(shared, "orphan")

    with installation.stopped():
        shared.delete("embeddingmodel", "orphan")

        wait_until_no_child_is_left(shared, "orphan")
