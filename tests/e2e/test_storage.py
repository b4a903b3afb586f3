"""Node-bound, root-owned and emptied volumes, in namespaces that enforce `restricted`."""

import pytest

from tests.support.claims import opened
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.serving import client_of

pytestmark = pytest.mark.cluster


def test_a_node_bound_read_write_once_volume_keeps_its_pods_together(namespace: Kubectl, installation: Installation):
    with installation.changed({"store": {"accessMode": "ReadWriteOnce", "storageClassName": "local-path-node"}}):
        namespace.apply(embedding_model("bound", namespace.namespace))
        namespace.wait_ready("bound")

        assert client_of(namespace, "bound").embeddings.create(model="bound", input="hello").data
        nodes = {pod["spec"]["nodeName"] for pod in namespace.list("pods", "embedplane.io/store=embedplane-store")}
        assert len(nodes) == 1

        namespace.patch("embeddingmodel", "bound", {"spec": {"scaling": {"maxReplicas": 2}}})
        refused = namespace.wait_for_condition("bound", "Ready", "False", reason="StoreNotShared", within=60)
        assert "ReadWriteMany" in refused["message"]


def test_a_root_owned_volume_is_writable_for_the_jobs(namespace: Kubectl, installation: Installation):
    with installation.changed({"store": {"accessMode": "ReadWriteOnce", "storageClassName": "local-path-root"}}):
        namespace.apply(embedding_model("rooted", namespace.namespace))

        namespace.wait_ready("rooted")

        assert client_of(namespace, "rooted").embeddings.create(model="rooted", input="hello").data


def test_a_store_that_was_emptied_is_filled_again(namespace: Kubectl, installation: Installation):
    namespace.apply(embedding_model("wiped", namespace.namespace))
    before = namespace.wait_ready("wiped")

    with opened(namespace, "embedplane-store", installation.server_image) as store:
        store.run("sh", "-c", "rm -rf /data/*")
    servers = "embedplane.io/model=wiped,app.kubernetes.io/component=server"
    namespace.run("delete", "pods", "-l", servers, "--wait=false")

    namespace.wait_for_condition("wiped", "Available", "False", reason="EngineMissing")
    after = namespace.wait_ready("wiped")
    assert after["status"]["vectorSpace"] == before["status"]["vectorSpace"]
    assert client_of(namespace, "wiped").embeddings.create(model="wiped", input="hello").data
