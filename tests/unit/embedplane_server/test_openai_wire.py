"""What `/v1/embeddings` and `/v1/models` answer when all is well."""

import base64

import httpx
import numpy as np
import pytest

from embedplane_server.special_tokens import SpecialTokens
from tests.support.fake_engine import (
    DIMENSIONS,
    FIRST,
    LAST,
    NAMES,
    SPACE,
    FakeEngine,
    FakeTokenizer,
    engine_manifest,
    fake_application,
    vector_of,
)

TEXTS = ["a short text", "another one that is a little longer", "x"]


def expected(texts):
    return [vector_of(ids) for ids in FakeTokenizer().encode(texts)]


async def test_one_text_gets_one_vector(client):
    answer = await client.post("/v1/embeddings", json={"model": "minilm", "input": "a short text"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    vector = np.array(body["data"][0].pop("embedding"), dtype=np.float32)
    assert np.array_equal(vector, expected(["a short text"])[0])
    assert body == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0}],
        "model": "minilm",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }


async def test_several_texts_get_vectors_in_their_order(client):
    answer = await client.post("/v1/embeddings", json={"model": "minilm", "input": TEXTS})
    entries = answer.json()["data"]
    assert [entry["index"] for entry in entries] == [0, 1, 2]
    for entry, vector in zip(entries, expected(TEXTS), strict=True):
        assert np.array_equal(np.array(entry["embedding"], dtype=np.float32), vector)


async def test_base64_holds_exactly_the_little_endian_float32_vector(client):
    answer = await client.post("/v1/embeddings", json={"input": TEXTS, "encoding_format": "base64"})
    for entry, vector in zip(answer.json()["data"], expected(TEXTS), strict=True):
        assert base64.b64decode(entry["embedding"]) == vector.astype("<f4").tobytes()


async def test_the_most_inputs_a_request_may_hold_are_all_answered(client):
    texts = [f"word{number}" for number in range(2048)]
    entries = (await client.post("/v1/embeddings", json={"input": texts})).json()["data"]
    assert [entry["index"] for entry in entries] == list(range(2048))
    assert np.array_equal(np.array(entries[2047]["embedding"], dtype=np.float32), expected(texts[-1:])[0])


@pytest.mark.parametrize("many", [False, True])
async def test_token_ids_of_the_models_own_tokenizer_equal_the_text(client, many):
    ids = FakeTokenizer().encode(["a short text"])[0]
    answer = await client.post("/v1/embeddings", json={"input": [ids] if many else ids})
    assert np.array_equal(np.float32(answer.json()["data"][0]["embedding"]), expected(["a short text"])[0])
    assert answer.json()["usage"]["prompt_tokens"] == 5


async def test_the_route_answers_without_its_version_too(client):
    assert (await client.post("/embeddings", json={"input": "x"})).status_code == 200


@pytest.mark.parametrize("name", NAMES)
async def test_every_served_name_is_answered_with_that_name(client, name):
    assert (await client.post("/v1/embeddings", json={"model": name, "input": "x"})).json()["model"] == name


async def test_user_and_fields_of_other_servers_are_ignored(client):
    body = {"input": "x", "user": "somebody", "truncate_prompt_tokens": 5, "dimensions": DIMENSIONS}
    assert (await client.post("/v1/embeddings", json=body)).status_code == 200


async def test_a_body_counts_whatever_its_content_type(client):
    answer = await client.post("/v1/embeddings", content=b'{"input": "x"}', headers={"content-type": "text/plain"})
    assert answer.status_code == 200


async def test_answers_carry_request_id_and_vector_space(client):
    answer = await client.post("/v1/embeddings", json={"input": "x"}, headers={"x-request-id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert answer.headers["x-embedplane-vector-space"] == SPACE
    assert "connection" not in answer.headers


async def test_a_request_without_an_id_gets_one(client):
    first, second = [(await client.get("/v1/models")).headers["x-request-id"] for _ in range(2)]
    assert first != second


async def test_an_id_that_is_not_presentable_is_replaced(client):
    answer = await client.get("/v1/models", headers={"x-request-id": "a b"})
    assert answer.headers["x-request-id"] != "a b"


@pytest.mark.parametrize("pin", [SPACE, f"{SPACE};dimensions={DIMENSIONS}", f"{SPACE}; dimensions={DIMENSIONS}"])
async def test_a_request_may_pin_the_vector_space(client, pin):
    answer = await client.post("/v1/embeddings", json={"input": "x"}, headers={"x-embedplane-vector-space": pin})
    assert answer.status_code == 200


async def test_models_lists_every_served_name(client):
    body = (await client.get("/v1/models")).json()
    assert body["object"] == "list"
    assert [card["id"] for card in body["data"]] == list(NAMES)
    assert body["data"][0] == {
        "id": "minilm",
        "object": "model",
        "created": 1793491200,
        "owned_by": "embedplane",
        "vector_space": SPACE,
        "dimensions": DIMENSIONS,
        "max_sequence_length": 64,
        "similarity": "cosine",
    }


async def test_one_model_can_be_looked_up_although_its_name_has_a_slash(client):
    assert (await client.get("/v1/models/org/minilm")).json()["id"] == "org/minilm"


async def test_info_names_the_space_and_the_limits(client):
    body = (await client.get("/info")).json()
    assert body["model"] == "minilm"
    assert body["vector_space"] == SPACE
    assert body["dimensions"] == DIMENSIONS
    assert body["max_inputs"] == 2048
    assert body["max_queued_tokens"] == 600_000


async def test_the_default_prompt_stands_before_every_text_and_counts():
    manifest = engine_manifest(prompts={"query": "query: "}, default_prompt="query")
    application = fake_application(FakeEngine(), manifest)
    async with application.running():
        transport = httpx.ASGITransport(application.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            body = (await client.post("/v1/embeddings", json={"input": "x"})).json()
    assert np.array_equal(np.float32(body["data"][0]["embedding"]), expected(["query: x"])[0])
    assert body["usage"]["total_tokens"] == 4


def test_special_tokens_are_found_around_the_text():
    special = SpecialTokens.of(FakeTokenizer())
    assert (special.before, special.after) == ((FIRST,), (LAST,))
