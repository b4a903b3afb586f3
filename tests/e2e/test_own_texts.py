"""Texts of a user's own, from a ConfigMap to the status: the whole way with a real export and a real build."""

import json

import pytest

from tests.support.kubectl import Kubectl, Manifest
from tests.support.models import embedding_model
from tests.support.serving import client_of
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster

PRIVATE = "the merger with Tannhauser is signed on Friday"


def texts(namespace: Kubectl, *lines: str) -> Manifest:
    metadata = {"name": "queries", "namespace": namespace.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"queries.txt": "\n".join(lines)}}


def own_texts(namespace: Kubectl, name: str) -> int | None:
    engine = (namespace.get("embeddingmodel", name) or {})["status"].get("engine") or {}
    found: int | None = engine.get("conformance", {}).get("ownTexts")
    return found


def test_texts_are_asked_for_proven_and_proven_again_when_they_change(shared: Kubectl):
    conformance = {"textsFrom": {"configMapRef": {"name": "queries"}}}
    shared.apply(embedding_model("careful", shared.namespace, engine={"conformance": conformance}))
    missing = shared.wait_for_condition("careful", "Ready", "False", reason="ConfigMapNotFound")
    assert "ConfigMap queries does not exist" in missing["message"]

    shared.apply(texts(shared, PRIVATE, "how do I return a lamp"))
    first = shared.wait_ready("careful")["status"]["engine"]
    assert first["conformance"]["ownTexts"] == 2
    assert first["conformance"]["texts"] > 256 + 2
    assert first["conformance"]["minimumCosine"] >= 0.999
    assert first["conformance"]["neighborOverlap"] >= 0.8

    shared.apply(texts(shared, PRIVATE, "how do I return a lamp", "opening hours on sundays"))
    client = client_of(shared, "careful")

    def is_proven_while_it_serves() -> bool:
        assert client.embeddings.create(model="model", input="still there?").data
        return own_texts(shared, "careful") == 3

    wait_for("the model is proven with the new texts", is_proven_while_it_serves, within=600, pause=1)
    second = shared.wait_ready("careful")["status"]["engine"]
    assert second["key"] != first["key"]
    written = json.dumps([*shared.list("jobs"), *shared.list("embeddingmodels"), *shared.list("events")])
    assert PRIVATE not in written
