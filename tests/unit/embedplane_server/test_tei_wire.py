"""The routes of text-embeddings-inference answer as it does: its fields, its bare lists, its errors."""

import asyncio

import numpy as np
import pytest

from embedplane_server.scheduling.work import Lane
from tests.support.eventually import until
from tests.support.fake_engine import DIMENSIONS, FIRST, LAST, WINDOW, FakeTokenizer
from tests.unit.embedplane_server.serving import served, vectors_of

TEXTS = ["a short text", "x"]
LONG = "word " * 100


@pytest.fixture
def serve_options():
    return {"max_queued_tokens": 2000}


def error_of(answer, status, error_type):
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error", "error_type"]
    assert answer.json()["error_type"] == error_type
    return answer.json()["error"]


@pytest.mark.parametrize("inputs", [TEXTS, TEXTS[0]])
async def test_embed_answers_a_bare_list_of_vectors(client, inputs):
    answer = await client.post("/embed", json={"inputs": inputs})
    texts = inputs if isinstance(inputs, list) else [inputs]
    assert np.array_equal(np.float32(answer.json()), vectors_of(texts))
    assert answer.headers["x-compute-tokens"] == str(sum(len(ids) for ids in FakeTokenizer().encode(texts)))
    for name in ("x-total-time", "x-compute-time", "x-tokenization-time", "x-queue-time", "x-inference-time"):
        assert int(answer.headers[name]) >= 0


async def test_embed_takes_token_ids(client):
    ids = FakeTokenizer().encode(TEXTS)
    assert np.array_equal(np.float32((await client.post("/embed", json={"inputs": ids})).json()), vectors_of(TEXTS))
    assert np.array_equal(
        np.float32((await client.post("/embed", json={"inputs": ids[0]})).json()), vectors_of(TEXTS[:1])
    )


async def test_many_vectors_are_written_in_slices_and_in_order(client):
    texts = [f"w{number}" for number in range(600)]
    assert np.array_equal(np.float32((await client.post("/embed", json={"inputs": texts})).json()), vectors_of(texts))


@pytest.mark.parametrize(
    ("direction", "kept"), [(None, slice(0, WINDOW - 2)), ("right", slice(0, WINDOW - 2)), ("Left", slice(-62, None))]
)
async def test_embed_cuts_at_the_end_that_is_named(client, direction, kept):
    words = [f"w{number}" for number in range(100)]
    body = {"inputs": " ".join(words), "truncate": True, "truncation_direction": direction}
    answer = await client.post("/embed", json=body)
    assert np.array_equal(np.float32(answer.json()), vectors_of([" ".join(words[kept])]))
    assert answer.headers["x-embedplane-truncated"] == "1"


async def test_normalize_may_add_what_the_model_does_not_do_but_not_undo_what_it_does(client):
    vectors = vectors_of(["x"])
    for body in ({}, {"normalize": True}, {"normalize": None}):
        answer = await client.post("/embed", json={"inputs": "x", **body})
        assert np.array_equal(np.float32(answer.json()), vectors)
    message = error_of(await client.post("/embed", json={"inputs": "x", "normalize": False}), 422, "Validation")
    assert "normalisation is part of this model" in message
    async with served({"normalized": False}, dimensions={"allowed": [4]}) as other:
        assert np.array_equal(np.float32((await other.post("/embed", json={"inputs": "x"})).json()), vectors)
        body = {"inputs": "x", "normalize": True, "dimensions": 4}
        lengths = np.linalg.norm((await other.post("/embed", json=body)).json(), axis=1)
        assert lengths == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("similarity", "expected"),
    [
        ("cosine", lambda a, b: b @ a / (np.linalg.norm(a) * np.linalg.norm(b, axis=1))),
        ("dot", lambda a, b: b @ a),
        ("euclidean", lambda a, b: -np.linalg.norm(b - a, axis=1)),
        ("manhattan", lambda a, b: -np.abs(b - a).sum(axis=1)),
    ],
)
async def test_similarity_is_by_the_models_own_function(similarity, expected):
    async with served({"similarity": similarity, "prompts": {"q": "find "}}) as client:
        body = {"inputs": {"source_sentence": "x", "sentences": ["a", "x", "b c"]}}
        vectors = vectors_of(["x", "a", "x", "b c"])
        answer = await client.post("/similarity", json=body)
        assert np.allclose(answer.json(), expected(vectors[0], vectors[1:]), atol=1e-6)
        prompted = await client.post("/similarity", json={**body, "parameters": {"prompt_name": "q"}})
        vectors = vectors_of(["find x", "find a", "find x", "find b c"])
        assert np.allclose(prompted.json(), expected(vectors[0], vectors[1:]), atol=1e-6)


async def test_tokenize_says_what_stands_where():
    async with served({"prompts": {"q": "find: "}}) as client:
        ids = FakeTokenizer().encode(["a short text"])[0]
        (tokens,) = (await client.post("/tokenize", json={"inputs": "a short text"})).json()
        assert tokens == [
            {"id": FIRST, "text": "[CLS]", "special": True, "start": None, "stop": None},
            {"id": ids[1], "text": "a", "special": False, "start": 0, "stop": 1},
            {"id": ids[2], "text": "short", "special": False, "start": 2, "stop": 7},
            {"id": ids[3], "text": "text", "special": False, "start": 8, "stop": 12},
            {"id": LAST, "text": "[SEP]", "special": True, "start": None, "stop": None},
        ]
        body = {"inputs": ["a", "b"], "add_special_tokens": False, "prompt_name": "q"}
        answer = (await client.post("/tokenize", json=body)).json()
        assert [[token["text"] for token in tokens] for tokens in answer] == [["find:", "a"], ["find:", "b"]]


async def test_decode_is_the_way_back(client):
    assert (await client.post("/decode", json={"ids": [FIRST, 2000, LAST]})).json() == ["w2000"]
    body = {"ids": [[FIRST, 2000], [2001]], "skip_special_tokens": False}
    assert (await client.post("/decode", json=body)).json() == ["w101 w2000", "w2001"]


async def test_info_has_teis_names_beside_ours(client):
    info = (await client.get("/info")).json()
    tei = {name: info[name] for name in ("model_id", "model_sha", "model_dtype", "model_type", "max_input_length")}
    assert tei == {
        "model_id": "minilm",
        "model_sha": "c0ffee",
        "model_dtype": "bfloat16",
        "model_type": {"embedding": {"pooling": "mean"}},
        "max_input_length": WINDOW,
    }
    assert (info["max_client_batch_size"], info["auto_truncate"], info["max_batch_tokens"]) == (2048, False, 256)
    assert info["conformance"] == {"texts": 50, "minimum_cosine": 0.9998, "mean_cosine": 0.9999}
    assert (info["vector_space"][:4], info["dimensions"], info["similarity"]) == ("vs1-", DIMENSIONS, "cosine")


async def test_health_is_empty_and_says_when_not(client, application):
    answer = await client.get("/health")
    assert (answer.status_code, answer.content) == (200, b"")
    application.lifecycle.begin_draining()
    assert "shutting down" in error_of(await client.get("/health"), 503, "Unhealthy")


@pytest.mark.parametrize(
    ("path", "body", "status", "error_type"),
    [
        ("/embed", {"inputs": ""}, 400, "Empty"),
        ("/embed", {"inputs": []}, 400, "Empty"),
        ("/embed", {}, 422, "Validation"),
        ("/embed", {"inputs": 3}, 422, "Validation"),
        ("/embed", {"inputs": LONG}, 422, "Validation"),
        ("/embed", {"inputs": "x", "truncate": "END"}, 422, "Validation"),
        ("/embed", {"inputs": "x", "dimensions": 3}, 422, "Validation"),
        ("/embed", {"inputs": "x", "prompt_name": "no"}, 422, "Validation"),
        ("/embed", {"inputs": ["x"] * 2049}, 422, "Validation"),
        ("/embed", {"inputs": [[7, 8]]}, 422, "Tokenizer"),
        ("/similarity", {"inputs": {"source_sentence": "x"}}, 422, "Validation"),
        ("/similarity", {"inputs": {"source_sentence": "x", "sentences": []}}, 400, "Empty"),
        ("/tokenize", {"inputs": []}, 400, "Empty"),
        ("/tokenize", {"inputs": [[1]]}, 422, "Validation"),
        ("/decode", {"ids": [-1]}, 422, "Validation"),
        ("/decode", {"ids": [30_522]}, 422, "Tokenizer"),
        ("/decode", {"ids": []}, 400, "Empty"),
        ("/embed_all", {"inputs": ""}, 400, "Empty"),
        ("/embed_sparse", {"inputs": "x"}, 404, "Validation"),
        ("/predict", {"inputs": "x"}, 404, "Validation"),
        ("/rerank", {"query": "x", "texts": ["y"]}, 404, "Validation"),
    ],
)
async def test_failures_have_teis_body(client, path, body, status, error_type):
    assert "$.input" not in error_of(await client.post(path, json=body), status, error_type)


async def test_another_method_has_teis_body_too(client):
    error_of(await client.get("/embed"), 405, "Validation")


async def test_what_passes_gets_a_status_that_clients_try_again(client, application, engine):
    engine.hold()
    waiting = [asyncio.create_task(client.post("/embed", json={"inputs": "x"}))]
    await asyncio.to_thread(engine.wait_until_busy)
    waiting.append(asyncio.create_task(client.post("/embed", json={"inputs": ["word " * 48] * 36})))
    await until(lambda: application.scheduler.queued(Lane.BULK).tokens == 1800)
    answer = await client.post("/embed", json={"inputs": ["word " * 48] * 10})
    error_of(answer, 429, "Overloaded")
    assert int(answer.headers["retry-after"]) >= 1
    assert int(answer.headers["retry-after-ms"]) >= 1
    engine.release()
    assert {(await each).status_code for each in waiting} == {200}
    engine.fails_on = set()
    error_of(await client.post("/embed", json={"inputs": "x"}), 500, "Backend")
