"""Changes of a live model: refused ones leave it serving, accepted ones lose no request."""

import pytest

from tests.support.kubectl import Kubectl, KubectlError
from tests.support.models import embedding_model
from tests.support.serving import address_of, client_of
from tests.support.traffic import constant_requests
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster


def test_a_change_of_the_vector_space_is_refused_and_the_old_one_serves_on(shared: Kubectl):
    shared.apply(embedding_model("stable", shared.namespace))
    before = shared.wait_ready("stable")

    shared.patch("embeddingmodel", "stable", {"spec": {"embedding": {"maxSequenceLength": 128}}})

    refused = shared.wait_for_condition("stable", "VectorSpaceStable", "False", reason="VectorSpaceChangeRefused")
    assert before["status"]["vectorSpace"]["id"] in refused["message"]
    assert "They differ in the window (256 tokens before, 128 tokens now)" in refused["message"]
    for condition, status in (("Ready", "False"), ("Stalled", "True"), ("Available", "True")):
        assert (shared.condition("stable", condition) or {})["status"] == status
    assert client_of(shared, "stable").embeddings.create(model="stable", input="still here").data
    after = shared.get("embeddingmodel", "stable")
    assert after is not None
    assert after["status"]["vectorSpace"] == before["status"]["vectorSpace"]

    shared.patch("embeddingmodel", "stable", {"spec": {"embedding": None}})
    assert shared.wait_ready("stable", within=120)["status"]["vectorSpace"] == before["status"]["vectorSpace"]


def test_an_invalid_update_is_refused_by_the_api_server_and_the_old_version_serves_on(shared: Kubectl):
    shared.apply(embedding_model("valid", shared.namespace))
    shared.wait_ready("valid")

    with pytest.raises(KubectlError, match="minReplicas 3 is above maxReplicas 1"):
        shared.patch("embeddingmodel", "valid", {"spec": {"scaling": {"minReplicas": 3}}})

    assert client_of(shared, "valid").embeddings.create(model="valid", input="still here").data


def test_a_pod_template_that_is_refused_leaves_the_old_version_serving(shared: Kubectl):
    shared.apply(embedding_model("template", shared.namespace))
    shared.wait_ready("template")

    shared.patch("embeddingmodel", "template", {"spec": {"podTemplate": {"priorityClassName": "no-such-class"}}})

    shared.wait_for_condition("template", "Ready", "False", within=60)
    assert client_of(shared, "template").embeddings.create(model="template", input="still here").data


def test_a_rolling_update_fails_no_request(shared: Kubectl):
    shared.apply(
        embedding_model("rolling", shared.namespace, serving={"drainDelaySeconds": 5, "maxRequestSeconds": 30})
    )
    shared.wait_ready("rolling")
    old = {pod["metadata"]["uid"] for pod in shared.list("pods", "app.kubernetes.io/component=server")}

    with constant_requests(address_of(shared, "rolling"), "rolling") as traffic:
        traffic.wait_for_successes(20)
        shared.patch("embeddingmodel", "rolling", {"spec": {"resources": {"requests": {"cpu": "250m"}}}})

        def replaced() -> bool:
            pods = shared.list("pods", "app.kubernetes.io/component=server")
            return bool(pods) and not old & {pod["metadata"]["uid"] for pod in pods}

        wait_for("the old server is gone", replaced, within=180)
        traffic.wait_for_successes(20)

    assert traffic.failures == []


def test_a_lost_status_is_read_back_and_nothing_moves(shared: Kubectl):
    shared.apply(embedding_model("wiped", shared.namespace))
    before = shared.wait_ready("wiped")
    jobs = {job["metadata"]["uid"] for job in shared.list("jobs")}
    deployment = shared.deployment_of("wiped")
    assert deployment is not None

    shared.run("patch", "embeddingmodel", "wiped", "--subresource=status", "--type=merge", "-p", '{"status": null}')

    def restored() -> bool:
        found = shared.get("embeddingmodel", "wiped") or {}
        return found.get("status", {}).get("source", {}).get("commit") == before["status"]["source"]["commit"]

    wait_for("the commit is read back", restored, within=60, explain=lambda: shared.explain("wiped"))
    after = shared.wait_ready("wiped", within=60)
    assert after["status"]["vectorSpace"] == before["status"]["vectorSpace"]
    assert after["status"]["engine"]["key"] == before["status"]["engine"]["key"]
    assert {job["metadata"]["uid"] for job in shared.list("jobs")} <= jobs
    same = shared.deployment_of("wiped")
    assert same is not None
    assert same["metadata"]["generation"] == deployment["metadata"]["generation"]
