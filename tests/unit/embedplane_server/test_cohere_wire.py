"""`/v2/embed` answers as Cohere does: vectors by type, its defaults, its errors."""

import base64

import numpy as np
import pytest

from tests.unit.embedplane_server.serving import served, vectors_of

TEXTS = ["a short text", "x"]
ASKED = {"model": "minilm", "texts": TEXTS, "input_type": "search_document"}


async def test_floats_are_the_default(client):
    answer = await client.post("/v2/embed", json=ASKED)
    assert answer.status_code == 200
    body = answer.json()
    assert np.array_equal(np.float32(body["embeddings"].pop("float")), vectors_of(TEXTS))
    assert body.pop("id")
    assert body == {
        "embeddings": {},
        "texts": TEXTS,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 8}},
        "response_type": "embeddings_by_type",
    }


async def test_every_type_that_is_exact_by_definition(client):
    types = ["float", "base64", "binary", "ubinary"]
    found = (await client.post("/v2/embed", json={**ASKED, "embedding_types": types})).json()["embeddings"]
    vectors = vectors_of(TEXTS)
    assert set(found) == set(types)
    assert [base64.b64decode(text) for text in found["base64"]] == [row.astype("<f4").tobytes() for row in vectors]
    bits = np.packbits(vectors > 0, axis=-1)
    assert found["ubinary"] == bits.tolist()
    assert found["binary"] == [[int(byte) - 128 for byte in row] for row in bits]


@pytest.mark.parametrize("name", ["int8", "uint8"])
async def test_a_type_that_needs_a_calibration_is_refused(client, name):
    answer = await client.post("/v2/embed", json={**ASKED, "embedding_types": ["float", name]})
    assert answer.status_code == 400
    assert answer.json() == {
        "message": f"The embedding type {name} needs a calibration, which this model has not. "
        "Offered are float, base64, binary, ubinary."
    }


async def test_the_input_type_chooses_the_prompt():
    async with served({"prompts": {"query": "find "}}) as client:
        for input_type, prompt in [("search_query", "find "), ("search_document", ""), ("classification", "")]:
            answer = await client.post("/v2/embed", json={**ASKED, "input_type": input_type})
            expected = vectors_of([prompt + text for text in TEXTS])
            assert np.array_equal(np.float32(answer.json()["embeddings"]["float"]), expected)


async def test_long_texts_are_cut_at_the_end_unless_asked_otherwise(client):
    words = [f"w{number}" for number in range(100)]
    long = {**ASKED, "texts": [" ".join(words)]}
    for truncate, kept in [({}, words[:62]), ({"truncate": "END"}, words[:62]), ({"truncate": "START"}, words[-62:])]:
        answer = await client.post("/v2/embed", json={**long, **truncate})
        assert np.array_equal(np.float32(answer.json()["embeddings"]["float"]), vectors_of([" ".join(kept)]))
        assert answer.headers["x-embedplane-truncated"] == "1"
    answer = await client.post("/v2/embed", json={**long, "truncate": "NONE"})
    assert answer.status_code == 400
    assert "maximum context length is 64 tokens" in answer.json()["message"]


async def test_output_dimension_follows_the_models_policy():
    async with served(dimensions={"allowed": [4]}) as client:
        answer = await client.post("/v2/embed", json={**ASKED, "output_dimension": 4})
        assert np.float32(answer.json()["embeddings"]["float"]).shape == (2, 4)
        answer = await client.post("/v2/embed", json={**ASKED, "output_dimension": 5})
        assert answer.status_code == 400
        assert "Allowed are 4, 8" in answer.json()["message"]


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"model": "embed-v4.0"}, 404, "The model `embed-v4.0` does not exist"),
        ({"texts": None}, 400, "Invalid value for 'texts'"),
        ({"texts": []}, 400, "'texts' is invalid: it must not be empty"),
        ({"texts": [""]}, 400, "'texts' is invalid: it must not be empty"),
        ({"texts": ["x"] * 2049}, 400, "it has 2049 inputs"),
        ({"texts": "x"}, 400, "Invalid value for 'texts'"),
        ({"images": ["data:"]}, 400, "'images' is not offered here"),
        ({"inputs": []}, 400, "'inputs' is not offered here"),
        ({"max_tokens": 3}, 400, "'max_tokens' is not offered here"),
        ({"input_type": "image"}, 400, "'image' is not known"),
        ({"embedding_types": []}, 400, "Invalid value for 'embedding_types'"),
        ({"embedding_types": ["float16"]}, 400, "Invalid value for 'embedding_types'"),
        ({"truncate": "LEFT"}, 400, "Invalid value for 'truncate'"),
    ],
)
async def test_failures_have_coheres_body(client, change, status, message):
    answer = await client.post("/v2/embed", json={**ASKED, **change})
    assert answer.status_code == status
    assert list(answer.json()) == ["message"]
    assert message in answer.json()["message"]
