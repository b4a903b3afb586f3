"""A model answers on the routes of its kind; the others name them."""

import pytest

from embedplane_server.errors import PermanentError
from tests.support.fake_engine import FakeEngine, classifying_manifest, fake_application
from tests.unit.embedplane_server.serving import served, served_classifier

EMBEDDING = {
    "/v1/embeddings": {"input": "x"},
    "/embeddings": {"input": "x"},
    "/embed": {"inputs": "x"},
    "/embed_all": {"inputs": "x"},
    "/similarity": {"inputs": {"source_sentence": "x", "sentences": ["y"]}},
    "/v2/embed": {"texts": ["x"]},
    "/api/embed": {"model": "minilm", "input": "x"},
}
RANKING = {
    "/rerank": {"query": "x", "texts": ["y"]},
    "/v1/rerank": {"query": "x", "documents": ["y"]},
    "/v2/rerank": {"query": "x", "documents": ["y"]},
}
PREDICTING = {"/predict": {"inputs": "x"}}
ALL = {**EMBEDDING, **RANKING, **PREDICTING}
KINDS = {
    "embedding": (served, EMBEDDING, "/v1/embeddings"),
    "reranker": (lambda: served_classifier("LABEL_0", activation="sigmoid"), {**RANKING, **PREDICTING}, "/rerank"),
    "classifier": (lambda: served_classifier("no", "yes"), PREDICTING, "/predict"),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_routes_of_the_models_kind_answer_and_the_others_name_them(kind):
    serve, own, named = KINDS[kind]
    async with serve() as client:
        for path, body in ALL.items():
            answer = await client.post(path, json=body)
            if path in own:
                assert answer.status_code == 200, f"{path}: {answer.text}"
            else:
                assert answer.status_code == 404
                assert kind.replace("embedding", "embedding model") in answer.text
                assert named in answer.text


async def test_info_says_what_the_model_is_for_as_tei_does():
    async with served_classifier("no", "yes") as client:
        info = (await client.get("/info")).json()
    labels = {"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}}
    assert info["model_type"] == {"classifier": labels}
    assert (info["task"], info["labels"], info["pooling"], info["similarity"]) == (
        "classification",
        ["no", "yes"],
        None,
        None,
    )
    async with served_classifier("LABEL_0") as client:
        info = (await client.get("/info")).json()
    assert info["model_type"] == {"reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}}


async def test_the_names_of_a_classifier_are_listed_and_its_texts_tokenised():
    async with served_classifier("no", "yes") as client:
        assert (await client.get("/v1/models")).json()["data"][0]["dimensions"] == 2
        assert (await client.post("/tokenize", json={"inputs": "x"})).status_code == 200


async def test_inputs_of_a_classifier_are_counted_as_tei_counts_them():
    async with served_classifier("no", "yes") as client:
        await client.post("/predict", json={"inputs": [["x"], ["y", "z"]]})
        await client.post("/v1/embeddings", json={"input": "x"})
        metrics = (await client.get("/metrics")).text
    found = {line.partition("{")[0]: float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("te_")}
    assert (found["te_predict_count"], found["te_predict_success"]) == (2, 2)
    assert (found["te_embed_count"], found["te_embed_success"]) == (0, 0)
    assert 'te_request_failure{err="model_type"' in metrics


def test_lengths_of_vectors_are_refused_for_a_model_that_has_none():
    with pytest.raises(PermanentError, match="EMBEDPLANE_DIMENSIONS"):
        fake_application(FakeEngine(2), classifying_manifest("no", "yes"), dimensions={"default": 1})
