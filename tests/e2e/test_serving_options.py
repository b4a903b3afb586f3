"""What a model says about its requests: who may ask, how long texts and vectors are, whose ids, and where."""

import base64
import json
from typing import Any

import httpx
import numpy as np
import pytest
from openai import BadRequestError

from tests.support.kubectl import Kubectl, Manifest
from tests.support.models import embedding_model
from tests.support.reference import cosines, reference_model
from tests.support.serving import address_of, client_of
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster

WINDOW, NATIVE = 256, 384


def keys(namespace: Kubectl, **lines: str) -> Manifest:
    encoded = {name: base64.b64encode(line.encode()).decode() for name, line in lines.items()}
    metadata = {"name": "search-keys", "namespace": namespace.namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}


def servers(namespace: Kubectl, name: str) -> dict[str, int]:
    """The restarts of each server pod of a model."""
    pods = namespace.list("pods", f"embedplane.io/model={name},app.kubernetes.io/component=server")
    return {pod["metadata"]["uid"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods}


def job_uids(namespace: Kubectl) -> set[str]:
    return {job["metadata"]["uid"] for job in namespace.list("jobs")}


def test_keys_of_a_secret_are_wanted_and_exchanged_without_a_restart(shared: Kubectl):
    serving = {"apiKeysSecretRef": {"name": "search-keys"}}
    shared.apply(embedding_model("locked", shared.namespace, serving=serving))
    missing = shared.wait_for_condition("locked", "Ready", "False", reason="SecretNotFound")
    assert "search-keys" in missing["message"]

    shared.apply(keys(shared, team="first"))
    shared.wait_ready("locked")
    before, url = servers(shared, "locked"), address_of(shared, "locked")

    def status(key: str | None) -> int:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.post(f"{url}/v1/embeddings", json={"input": "hello"}, headers=headers, timeout=30).status_code

    assert (status(None), status("second"), status("first")) == (401, 401, 200)
    for path in ("/health/ready", "/health/live", "/metrics"):
        assert httpx.get(f"{url}{path}", timeout=30).status_code == 200
    assert "search-keys" not in json.dumps(shared.list("jobs"))

    shared.apply(keys(shared, team="first", other="second"))
    wait_for("the second key is valid", lambda: status("second") == 200)
    assert status("first") == 200

    shared.apply(keys(shared, other="second"))
    wait_for("the first key is revoked", lambda: status("first") == 401)
    assert status("second") == 200
    assert servers(shared, "locked") == before
    assert set(before.values()) == {0}


def test_a_default_dimension_is_served_and_its_change_is_refused(shared: Kubectl):
    shared.apply(
        embedding_model("short", shared.namespace, embedding={"dimensions": {"default": 128, "allowed": [64]}})
    )
    space = shared.wait_ready("short")["status"]["vectorSpace"]
    jobs = job_uids(shared)
    beginning = reference_model(WINDOW).encode(["hello"], convert_to_numpy=True)[:, :128]

    def length(**asked: int) -> int | None:
        client = client_of(shared, "short")  # a connection of its own: an old one may lead to a server that ends
        try:
            return len(client.embeddings.create(model="short", input="hello", **asked).data[0].embedding)
        except BadRequestError:
            return None

    answer = client_of(shared, "short").embeddings.with_raw_response.create(model="short", input="hello")
    vector = np.array([answer.parse().data[0].embedding], dtype=np.float32)
    assert cosines(vector, beginning).min() >= 0.999
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)
    assert answer.headers["x-embedplane-vector-space"] == space["id"]
    assert space["id"].endswith(";dimensions=128")
    assert (space["dimensions"], space["nativeDimensions"]) == (128, NATIVE)
    assert (length(dimensions=64), length(dimensions=NATIVE), length(dimensions=32)) == (64, NATIVE, None)

    shared.patch("embeddingmodel", "short", {"spec": {"embedding": {"dimensions": {"default": 64}}}})
    refused = shared.wait_for_condition("short", "VectorSpaceStable", "False", reason="VectorSpaceChangeRefused")
    assert space["id"] in refused["message"]
    assert "spec.embedding.dimensions.default" in refused["message"]
    assert length() == 128

    shared.patch("embeddingmodel", "short", {"spec": {"embedding": {"dimensions": {"default": 128, "allowed": [32]}}}})
    after = shared.wait_ready("short")["status"]["vectorSpace"]
    assert (after["id"], after["allowedDimensions"]) == (space["id"], [32])
    wait_for("the new length is offered", lambda: length(dimensions=32) == 32)
    assert length() == 128
    assert job_uids(shared) <= jobs


def test_more_dimensions_than_the_model_has_are_refused_before_any_server_starts(shared: Kubectl):
    shared.apply(embedding_model("wide", shared.namespace, embedding={"dimensions": {"default": 1024}}))

    refused = shared.wait_for_condition("wide", "VectorSpaceStable", "False", reason="DimensionsUnavailable")

    assert f"write {NATIVE} or less" in refused["message"]
    assert shared.deployment_of("wide") is None

    shared.patch("embeddingmodel", "wide", {"spec": {"embedding": None}})
    assert shared.wait_ready("wide")["status"]["vectorSpace"]["dimensions"] == NATIVE


def test_long_texts_are_cut_and_langchain_s_ids_understood_at_a_path_of_one_s_own(shared: Kubectl):
    serving = {"longInput": "Truncate", "tokenEncoding": "cl100k_base", "defaultRoute": "/search/v1/embeddings"}
    shared.apply(embedding_model("open", shared.namespace, serving=serving))
    shared.wait_ready("open")
    url = address_of(shared, "open")

    def ask(path: str, text: Any) -> httpx.Response:
        answer = httpx.post(f"{url}{path}", json={"model": "open", "input": text}, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer

    cut = ask("/search/v1/embeddings", "word " * 1000)
    assert cut.headers["x-embedplane-truncated"] == "1"
    assert cut.json()["usage"]["prompt_tokens"] == WINDOW

    hello_world = [[15339, 1917]]  # by cl100k_base
    vectors = [ask("/embeddings", given).json()["data"][0]["embedding"] for given in (hello_world, "hello world")]
    assert cosines(np.float32([vectors[0]]), np.float32([vectors[1]])).min() >= 0.999
