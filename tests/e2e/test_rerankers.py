"""A reranker is a model like any other: one YAML, and its Service ranks."""

import httpx
import pytest

from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.serving import address_of

pytestmark = pytest.mark.cluster

QUERY = {"query": "what the river carries", "texts": ["wool and salt", "the colour of the evening sky"]}


def test_a_cross_encoder_becomes_ready_and_ranks(shared: Kubectl):
    shared.apply(embedding_model("reranker", shared.namespace, repo="tests/reranker"))

    status = shared.wait_ready("reranker")["status"]

    assert (status["vectorSpace"]["task"], status["vectorSpace"]["dimensions"]) == ("classification", 1)
    assert status["engine"]["conformance"]["rankCorrelation"] >= 0.999
    url = address_of(shared, "reranker")
    ranks = httpx.post(f"{url}/rerank", json=QUERY, timeout=30).raise_for_status().json()
    assert sorted(rank["index"] for rank in ranks) == [0, 1]
    assert ranks[0]["score"] >= ranks[1]["score"]
    refused = httpx.post(f"{url}/v1/embeddings", json={"input": "x"}, timeout=30)
    assert refused.status_code == 404
    assert "/rerank" in refused.json()["error"]["message"]
