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


def test_two_models_of_one_name_live_in_two_namespaces(shared: Kubectl, other_namespace: Kubectl):
    for each in (shared, other_namespace):
        each.apply(embedding_model("twin", each.namespace))

    for each in (shared, other_namespace):
        each.wait_ready("twin")
        assert client_of(each, "twin").embeddings.create(model="twin", input="hello").data
    assert address_of(shared, "twin") != address_of(other_namespace, "twin")


def test_an_upgrade_during_a_build_rebuilds_nothing_and_live_models_keep_serving(
    shared: Kubectl, installation: Installation
):
    shared.apply(embedding_model("live", shared.namespace))
    live = shared.wait_ready("live")
    shared.apply(embedding_model("young", shared.namespace, engine={"precision": "float32"}))

    def is_building() -> bool:
        jobs = shared.list("jobs", "app.kubernetes.io/component=build")
        return "young" in {owner["name"] for job in jobs for owner in job["metadata"].get("ownerReferences", [])}

    wait_for("the young model is built", is_building, explain=lambda: shared.explain("young"))
    with (
        constant_requests(address_of(shared, "live"), "live") as traffic,
        installation.changed({"logLevel": "debug"}),
    ):
        shared.wait_ready("young")
        traffic.wait_for_successes(20)

    assert traffic.failures == []
    after = shared.wait_ready("live")
    assert after["status"]["engine"] == live["status"]["engine"]
    assert after["status"]["source"] == live["status"]["source"]


def test_uninstalling_keeps_models_serving_and_another_release_takes_over(shared: Kubectl, installation: Installation):
    shared.apply(embedding_model("kept", shared.namespace))
    before = shared.wait_ready("kept")
    installation.uninstall()
    assert client_of(shared, "kept").embeddings.create(model="kept", input="still here").data

    successor = Installation("successor", "embedplane-successor", installation.values)
    successor.upgrade()
    try:
        shared.patch("embeddingmodel", "kept", {"spec": {"servedModelNames": ["renamed"]}})
        after = shared.wait_ready("kept")
        assert after["status"]["engine"] == before["status"]["engine"]
        # The old server takes requests until kube-proxy has heard that it is leaving.
        wait_for("the new name is served", lambda: answers(shared, "kept", as_model="renamed"))
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
