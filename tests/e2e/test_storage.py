"""A node-bound, root-owned volume, in a namespace that enforces `restricted`."""

import pytest

from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.serving import client_of

pytestmark = pytest.mark.cluster


def test_a_node_bound_volume_of_root_is_writable_for_the_jobs_and_keeps_its_pods_together(
    namespace: Kubectl, installation: Installation
):
    with installation.changed({"store": {"accessMode": "ReadWriteOnce", "storageClassName": "local-path-root"}}):
        namespace.apply(embedding_model("bound", namespace.namespace))
        namespace.wait_ready("bound")

        assert client_of(namespace, "bound").embeddings.create(model="bound", input="hello").data
        pods = namespace.list("pods", "embedplane.io/store=embedplane-store")
        assert len({pod["spec"]["nodeName"] for pod in pods if "nodeName" in pod["spec"]}) == 1

        namespace.patch("embeddingmodel", "bound", {"spec": {"scaling": {"maxReplicas": 2}}})
        refused = namespace.wait_for_condition("bound", "Ready", "False", reason="StoreNotShared")
        assert "ReadWriteMany" in refused["message"]
