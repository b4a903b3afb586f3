"""A body of very many values is refused before it holds up the server; a text may hold as many commas as it likes."""

import pytest

from embedplane_server.options import RequestLimits
from embedplane_server.routes.shape import check_shape

MANY = 4_000_000


@pytest.mark.parametrize(
    "body",
    [
        b'{"input": [' + b"1," * MANY + b"1]}",
        b'{"input": [' + b"[1]," * MANY + b"[1]]}",
        b'{"input": [' + b'"a",' * MANY + b'"a"]}',
        b'{"input": "x", "more": [' + b"{}," * MANY + b"{}]}",
        b'{"input": "x", "more": [' + b'"\\",[",' * 2_000_000 + b"0]}",
    ],
)
async def test_a_body_of_too_many_values_is_refused(client, body):
    answer = await client.post("/v1/embeddings", content=body)
    assert answer.status_code == 413
    assert "holds more than 302048 values or 10000 lists" in answer.json()["error"]["message"]


@pytest.mark.parametrize("text", [b"," * 5_000_000, b"[{" * 1_000_000, b'\\"[' * 1_000_000])
def test_a_text_may_hold_anything(text):
    check_shape(b'{"input": "' + text + b'"}', RequestLimits(max_sequence_length=64))


@pytest.mark.parametrize("body", [b'{"input": "' + b"[," * 1_000_000, b'{"input": "' + b'\\"[' * 1_000_000])
async def test_a_text_that_does_not_end_is_no_json(client, body):
    answer = await client.post("/v1/embeddings", content=body)
    assert answer.status_code == 400
    assert "could not parse the JSON body" in answer.json()["error"]["message"]


async def test_too_many_inputs_are_told_in_their_own_words(client):
    for inputs in (["x"] * 3000, [[101, 7, 102]] * 3000):
        answer = await client.post("/v1/embeddings", json={"input": inputs})
        assert answer.status_code == 400
        assert "it has 3000 inputs" in answer.json()["error"]["message"]
