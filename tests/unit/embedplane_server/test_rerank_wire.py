"""Reranking as text-embeddings-inference and Cohere have it, on one model."""

import numpy as np
import pytest

from embedplane_server.activation import activate
from tests.support.fake_engine import WINDOW
from tests.unit.embedplane_server.serving import logits_of, served_classifier

QUERY = "what is it"
TEXTS = ["a short text", "x", "what it is", ""]
COHERE = {"query": QUERY, "documents": TEXTS}


@pytest.fixture
async def reranker():
    async with served_classifier("LABEL_0", activation="sigmoid") as client:
        yield client


def scores_of(texts, query=QUERY):
    return logits_of([(query, text) for text in texts])[:, 0]


def best_first(scores):
    return sorted(range(len(scores)), key=lambda index: -scores[index])


async def test_tei_answers_a_list_with_the_best_first(reranker):
    answer = await reranker.post("/rerank", json={"query": QUERY, "texts": TEXTS})
    logits = scores_of(TEXTS)
    assert [list(rank) for rank in answer.json()] == [["index", "score"]] * len(TEXTS)
    assert [rank["index"] for rank in answer.json()] == best_first(logits)
    expected = np.sort(1 / (1 + np.exp(-logits)))[::-1]
    assert [rank["score"] for rank in answer.json()] == pytest.approx(expected, abs=1e-6)
    assert int(answer.headers["x-compute-tokens"]) == int(answer.headers["x-embedplane-tokens"]) > 0
    assert answer.headers["x-embedplane-vector-space"].startswith("vs1-")


async def test_raw_scores_are_logits_and_texts_come_back_when_asked_for(reranker):
    body = {"query": QUERY, "texts": TEXTS, "raw_scores": True, "return_text": True, "top_n": 2}
    logits = scores_of(TEXTS)
    order = best_first(logits)[:2]
    assert (await reranker.post("/rerank", json=body)).json() == [
        {"index": index, "text": TEXTS[index], "score": pytest.approx(logits[index])} for index in order
    ]


async def test_a_model_without_an_activation_answers_with_its_logits():
    async with served_classifier("LABEL_0", activation="identity") as client:
        ranks = (await client.post("/rerank", json={"query": QUERY, "texts": TEXTS})).json()
    assert [rank["score"] for rank in ranks] == pytest.approx(np.sort(scores_of(TEXTS))[::-1])


@pytest.mark.parametrize(
    ("path", "version"),
    [("/v1/rerank", "1"), ("/v2/rerank", "2"), ("/rerank", "2")],
)
async def test_cohere_answers_results(reranker, path, version):
    body = {**COHERE, "model": "minilm", "top_n": 3, "rank_fields": ["text"]}
    answer = (await reranker.post(path, json=body)).json()
    scores = activate("sigmoid", scores_of(TEXTS)[:, None])[:, 0]
    assert answer["results"] == [
        {"index": index, "relevance_score": pytest.approx(scores[index])} for index in best_first(scores)[:3]
    ]
    assert answer["meta"] == {"api_version": {"version": version}, "billed_units": {"search_units": 1}}
    assert answer["model"] == "minilm"
    assert answer["usage"]["total_tokens"] > 0


async def test_documents_may_be_objects_and_come_back_when_asked_for(reranker):
    documents = [TEXTS[0], {"text": TEXTS[1], "id": 7}]
    body = {"query": QUERY, "documents": documents, "return_documents": True}
    results = (await reranker.post("/v2/rerank", json=body)).json()["results"]
    assert {each["index"]: each["document"] for each in results} == {0: {"text": TEXTS[0]}, 1: {"text": TEXTS[1]}}


async def test_only_so_many_tokens_of_a_document_count(reranker):
    body = {"query": QUERY, "documents": ["one two three four", "five"], "max_tokens_per_doc": 2}
    results = (await reranker.post("/v2/rerank", json={**body, "return_documents": True})).json()["results"]
    scores = activate("sigmoid", scores_of(["one two", "five"])[:, None])[:, 0]
    assert {each["index"]: each["relevance_score"] for each in results} == pytest.approx(dict(enumerate(scores)))
    assert results[[each["index"] for each in results].index(0)]["document"]["text"] == "one two three four"


@pytest.mark.parametrize(("direction", "kept"), [("right", slice(0, 58)), ("left", slice(42, None))])
async def test_the_longer_of_two_texts_is_cut_at_the_end_that_is_named(reranker, direction, kept):
    words = [f"w{number}" for number in range(100)]
    body = {
        "query": QUERY,
        "texts": [" ".join(words)],
        "truncate": True,
        "truncation_direction": direction,
        "raw_scores": True,
    }
    answer = await reranker.post("/rerank", json=body)
    assert answer.json()[0]["score"] == pytest.approx(scores_of([" ".join(words[kept])])[0])
    assert answer.headers["x-embedplane-truncated"] == "1"
    assert answer.headers["x-embedplane-tokens"] == str(WINDOW)


async def test_cohere_cuts_unasked_and_tei_only_where_the_server_is_set_so(reranker):
    long = ["w " * 100]
    assert (await reranker.post("/v2/rerank", json={"query": "x", "documents": long})).status_code == 200
    answer = await reranker.post("/rerank", json={"query": "x", "texts": long})
    assert answer.status_code == 422
    assert f"maximum context length is {WINDOW} tokens" in answer.json()["error"]
    async with served_classifier("LABEL_0", activation="sigmoid", long_input="Truncate") as client:
        assert (await client.post("/rerank", json={"query": "x", "texts": long})).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/rerank", {"query": "x", "texts": []}, 400, "`texts`"),
        ("/rerank", {"query": "", "texts": ["y"]}, 400, "query"),
        ("/rerank", {"query": "x"}, 422, "'texts'"),
        ("/rerank", {"texts": ["y"]}, 422, "'query'"),
        ("/rerank", {"query": "x", "texts": "y"}, 422, "texts"),
        ("/rerank", {"query": "x", "texts": ["y"], "top_n": 0}, 422, "top_n"),
        ("/rerank", {"query": "x", "texts": ["y"] * 2049}, 422, "`texts`"),
        ("/rerank", {"query": "x", "documents": ["y"], "model": "other"}, 404, "minilm"),
        ("/v1/rerank", {"query": "x"}, 400, "documents"),
        ("/v2/rerank", {"query": "x", "documents": []}, 400, "'documents'"),
        ("/v2/rerank", {"query": "", "documents": ["y"]}, 400, "query"),
        ("/v2/rerank", {"query": "x", "documents": [3]}, 400, "documents"),
        ("/v2/rerank", {"query": "x", "documents": [], "max_tokens_per_doc": 3}, 400, "'documents'"),
        ("/v2/rerank", {"query": "x", "documents": ["y"], "model": "other"}, 404, "minilm"),
    ],
)
async def test_what_is_wrong_is_told_in_the_form_of_the_route(reranker, path, body, status, words):
    answer = await reranker.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == ({"error", "error_type"} if path == "/rerank" else {"message"})
    assert words in next(iter(answer.json().values()))
    assert "$.input" not in answer.text


async def test_a_pinned_space_is_kept(reranker):
    answer = await reranker.post("/v2/rerank", json=COHERE, headers={"x-embedplane-vector-space": "vs1-other"})
    assert answer.status_code == 412
