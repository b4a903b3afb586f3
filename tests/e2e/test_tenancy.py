"""The same name in two namespaces, and installations that live side by side or follow one another."""

import pytest
from openai import NotFoundError

from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.serving import address_of, client_of
from tests.support.traffic import constant_requests
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster


def answers(namespace: Kubectl, name: str, as_model: str) -> bool:
    try:
        return bool(client_of(namespace, name).embeddings.create(model=as_model, input="hello").data)
    except NotFoundError:
        return False


def test_two_models_of_one_name_live_in_two_namespaces(namespace: Kubectl, other_namespace: Kubectl):
    for each in (namespace, other_namespace):
        each.apply(embedding_model("twin", each.namespace))

    for each in (namespace, other_namespace):
        each.wait_ready("twin")
        assert client_of(each, "twin").embeddings.create(model="twin", input="hello").data
    assert address_of(namespace, "twin") != address_of(other_namespace, "twin")


def test_an_upgrade_during_a_build_rebuilds_nothing_and_live_models_keep_serving(
    namespace: Kubectl, installation: Installation
):
    namespace.apply(embedding_model("live", namespace.namespace))
    live = namespace.wait_ready("live")
    namespace.apply(embedding_model("young", namespace.namespace, engine={"precision": "float32"}))

    def building() -> bool:
        return bool(namespace.list("pods", "app.kubernetes.io/component in (fetch,build)"))

    wait_for("a Job of the young model runs", building)
    with (
        constant_requests(address_of(namespace, "live"), "live") as traffic,
        installation.changed({"logLevel": "debug"}),
    ):
        namespace.wait_ready("young")
        traffic.wait_for_successes(20)

    assert traffic.failures == []
    after = namespace.wait_ready("live")
    assert after["status"]["engine"] == live["status"]["engine"]
    assert after["status"]["source"] == live["status"]["source"]


def test_uninstalling_keeps_models_serving_and_another_release_takes_over(
    namespace: Kubectl, installation: Installation
):
    namespace.apply(embedding_model("kept", namespace.namespace))
    before = namespace.wait_ready("kept")
    deployment = namespace.deployment_of("kept")
    assert deployment is not None
    installation.uninstall()
    assert client_of(namespace, "kept").embeddings.create(model="kept", input="still here").data

    successor = Installation("successor", "embedplane-successor", installation.values)
    successor.upgrade()
    try:
        namespace.patch("embeddingmodel", "kept", {"spec": {"servedModelNames": ["renamed"]}})
        after = namespace.wait_ready("kept")
        assert after["status"]["engine"] == before["status"]["engine"]
        # The old server takes requests until kube-proxy has heard that it is leaving.
        wait_for("the new name is served", lambda: answers(namespace, "kept", as_model="renamed"), within=30)
    finally:
        successor.uninstall()
        installation.upgrade()


def test_two_namespaced_installations_mind_their_own(
    namespace: Kubectl, other_namespace: Kubectl, installation: Installation
):
    installation.uninstall()
    mine = [
        Installation(f"embedplane-{index}", each.namespace, installation.values | {"watchNamespaces": [each.namespace]})
        for index, each in enumerate((namespace, other_namespace))
    ]
    try:
        for each in mine:
            each.upgrade()
        for each in (namespace, other_namespace):
            each.apply(embedding_model("side-by-side", each.namespace))
        for each in (namespace, other_namespace):
            each.wait_ready("side-by-side")
        installations = {
            (each.deployment_of("side-by-side") or {})["metadata"]["labels"]["embedplane.io/installation"]
            for each in (namespace, other_namespace)
        }
        assert len(installations) == 2
    finally:
        for each in mine:
            each.uninstall()
        installation.upgrade()
