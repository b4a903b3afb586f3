"""Deleting a model takes every child with it, whether the operator runs or not."""

import pytest

from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster

OWNED = "deployments,services,jobs,pods,poddisruptionbudgets"


def children(namespace: Kubectl) -> set[str]:
    return {
        f"{item['kind']}/{item['metadata']['name']}"
        for item in namespace.list(OWNED, "app.kubernetes.io/managed-by=embedplane")
    }


def test_every_child_goes_with_the_model(namespace: Kubectl):
    namespace.apply(embedding_model("gone", namespace.namespace, scaling={"minReplicas": 1, "maxReplicas": 2}))
    namespace.wait_ready("gone")
    assert children(namespace)

    namespace.delete("embeddingmodel", "gone", "--timeout=30s")

    wait_for("no child is left", lambda: not children(namespace), within=90, explain=lambda: str(children(namespace)))


def test_deleting_does_not_hang_while_the_operator_is_stopped(namespace: Kubectl, installation: Installation):
    namespace.apply(embedding_model("orphan", namespace.namespace))
    namespace.wait_ready("orphan")

    with installation.stopped():
        namespace.delete("embeddingmodel", "orphan", "--timeout=30s")

        wait_for(
            "no child is left", lambda: not children(namespace), within=90, explain=lambda: str(children(namespace))
        )
