"""The OpenAPI document of models that classify: their routes are described, those of other kinds as failures."""

import pytest

from embedplane_server.routes.offers import OFFERED, is_offered
from tests.unit.embedplane_server.serving import served_classifier
from tests.unit.embedplane_server.test_openapi import matches, references

RERANK = {"query": "x", "texts": ["y", "z"]}
COHERE = {"query": "x", "documents": ["y"], "return_documents": True}
ANSWERS = [
    ("reranker", "/rerank", RERANK),
    ("reranker", "/rerank", {**RERANK, "return_text": True}),
    ("reranker", "/rerank", COHERE),
    ("reranker", "/v1/rerank", COHERE),
    ("reranker", "/v2/rerank", COHERE),
    ("reranker", "/predict", {"inputs": "x"}),
    ("classifier", "/predict", {"inputs": ["x", "y"]}),
    ("classifier", "/predict", {"inputs": [["x", "y"], ["z"]]}),
    ("classifier", "/rerank", RERANK),
    ("classifier", "/v1/embeddings", {"input": "x"}),
    ("reranker", "/v2/rerank", {}),
    ("reranker", "/rerank", {}),
    ("reranker", "/predict", {}),
]


def serve(kind: str):
    labels = ["LABEL_0"] if kind == "reranker" else ["no", "yes"]
    return served_classifier(*labels, activation="sigmoid")


@pytest.mark.parametrize("kind", ["reranker", "classifier"])
async def test_a_document_has_what_the_kind_has_and_nothing_else(kind):
    async with serve(kind) as client:
        document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert references(document) == {f"#/components/schemas/{name}" for name in schemas}
    for path in OFFERED:
        operation = document["paths"][path]["post"]
        assert ("200" in operation["responses"]) == ("requestBody" in operation) == is_offered(path, kind)


@pytest.mark.parametrize(("kind", "path", "body"), ANSWERS)
async def test_answers_are_what_it_says(kind, path, body):
    async with serve(kind) as client:
        document = (await client.get("/openapi.json")).json()
        answer = await client.post(path, json=body)
    told = document["paths"][path]["post"]["responses"][str(answer.status_code)]
    schema = told["content"]["application/json"]["schema"]
    assert matches(schema, answer.json(), document["components"]["schemas"])
    if answer.status_code == 200:
        assert set(told["headers"]) - set(answer.headers) <= {"x-embedplane-truncated"}


async def test_it_names_what_a_reranker_takes():
    async with serve("reranker") as client:
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert schemas["CohereRerankRequest"]["properties"]["model"]["enum"] == ["minilm", "org/minilm", "model", None]
    assert schemas["CohereRerankRequest"]["required"] == ["query", "documents"]
    assert schemas["RerankRequest"]["required"] == ["query"]
