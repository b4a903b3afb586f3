"""Changes of a live model: refused ones leave it serving, accepted ones lose no request."""

import pytest

from tests.support.kubectl import Kubectl, condition_in, reasons_of
from tests.support.models import embedding_model
from tests.support.servers import ready_servers, wait_for_other_servers
from tests.support.serving import address_of, client_of
from tests.support.traffic import constant_requests

pytestmark = pytest.mark.cluster


def test_a_change_of_the_vector_space_is_refused_and_the_old_one_serves_on(shared: Kubectl):
    shared.apply(embedding_model("stable", shared.namespace))
    before = shared.wait_ready("stable")

    shared.patch("embeddingmodel", "stable", {"spec": {"embedding": {"maxSequenceLength": 128}}})

    refused = shared.wait_for_model("stable", "VectorSpaceStable", "False", reason="VectorSpaceChangeRefused")
    words = (condition_in(refused, "VectorSpaceStable") or {})["message"]
    assert before["status"]["vectorSpace"]["id"] in words
    assert "They differ in the window (256 tokens before, 128 tokens now)" in words
    reason = "VectorSpaceChangeRefused"
    assert reasons_of(refused, "Ready", "Stalled", "Available") == [
        ("False", reason), ("True", reason), ("True", "ReplicasReady"),
    ]  # fmt: skip
    assert refused["status"]["vectorSpace"] == before["status"]["vectorSpace"]
    assert client_of(shared, "stable").embeddings.create(model="stable", input="still here").data

    shared.patch("embeddingmodel", "stable", {"spec": {"embedding": None}})
    assert shared.wait_ready("stable")["status"]["vectorSpace"] == before["status"]["vectorSpace"]


def test_pods_that_are_refused_leave_the_old_version_serving(shared: Kubectl):
    shared.apply(embedding_model("template", shared.namespace))
    shared.wait_ready("template")

    shared.patch("embeddingmodel", "template", {"spec": {"podTemplate": {"priorityClassName": "no-such-class"}}})

    refused = shared.wait_for_model("template", "Ready", "False", reason="PodForbidden")
    assert "no-such-class" in (condition_in(refused, "Ready") or {})["message"]
    assert reasons_of(refused, "Available") == [("True", "ReplicasReady")]
    assert client_of(shared, "template").embeddings.create(model="template", input="still here").data


def test_a_rolling_update_fails_no_request(shared: Kubectl):
    shared.apply(
        embedding_model("rolling", shared.namespace, serving={"drainDelaySeconds": 5, "maxRequestSeconds": 30})
    )
    shared.wait_ready("rolling")
    old = {pod["metadata"]["uid"] for pod in ready_servers(shared, "rolling")}

    with constant_requests(address_of(shared, "rolling"), "rolling") as traffic:
        traffic.wait_for_successes(20)
        shared.patch("embeddingmodel", "rolling", {"spec": {"resources": {"requests": {"cpu": "250m"}}}})
        wait_for_other_servers(shared, "rolling", old)
        traffic.wait_for_successes(20)

    assert traffic.failures == []
