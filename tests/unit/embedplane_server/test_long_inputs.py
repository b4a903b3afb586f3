"""What is longer than the window is refused, or cut as the tokenizer itself would cut it, and the answer says so."""

import numpy as np
import pytest

from tests.support.fake_engine import FIRST, LAST, WINDOW, FakeTokenizer, vector_of
from tests.unit.embedplane_server.serving import embedded, served, vectors_of

WORDS = [f"word{number}" for number in range(100)]
LONG = " ".join(WORDS)
START, END = " ".join(WORDS[: WINDOW - 2]), " ".join(WORDS[-(WINDOW - 2) :])


@pytest.mark.parametrize("asked", [{}, {"truncate": False}, {"truncate": "NONE"}, {"truncate": None}])
async def test_a_long_text_is_refused_unless_asked_otherwise(client, asked):
    answer = await client.post("/v1/embeddings", json={"input": LONG, **asked})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(("asked", "kept"), [(True, START), ("END", START), ("START", END)])
async def test_a_request_may_have_long_texts_cut(client, asked, kept):
    answer = await client.post("/v1/embeddings", json={"input": ["x", LONG, LONG], "truncate": asked})
    assert np.array_equal(embedded(answer), vectors_of(["x", kept, kept]))
    assert answer.headers["x-embedplane-truncated"] == "2"
    assert answer.json()["usage"]["total_tokens"] == 3 + 2 * WINDOW


async def test_an_answer_without_cuts_says_nothing_of_them(client):
    answer = await client.post("/v1/embeddings", json={"input": "x", "truncate": True})
    assert "x-embedplane-truncated" not in answer.headers


@pytest.mark.parametrize("value", [1, "end", [], "yes"])
async def test_another_value_is_refused(client, value):
    error = (await client.post("/v1/embeddings", json={"input": "x", "truncate": value})).json()["error"]
    assert error["param"] == "truncate"
    assert error["message"] == 'Invalid value for \'truncate\': expected true, false, "NONE", "START" or "END".'


async def test_a_server_may_cut_by_itself_and_a_request_may_refuse_that():
    async with served(long_input="Truncate") as client:
        answer = await client.post("/v1/embeddings", json={"input": LONG})
        assert np.array_equal(embedded(answer), vectors_of([START]))
        assert answer.headers["x-embedplane-truncated"] == "1"
        assert (await client.post("/v1/embeddings", json={"input": LONG, "truncate": False})).status_code == 400
        assert (await client.get("/info")).json()["auto_truncate"] is True


@pytest.mark.parametrize(("asked", "kept"), [(True, START), ("START", END)])
async def test_token_ids_are_cut_between_their_special_tokens(client, asked, kept):
    ids = FakeTokenizer().encode([LONG])[0]
    answer = await client.post("/v1/embeddings", json={"input": [ids, [FIRST, 2000, LAST]], "truncate": asked})
    assert np.array_equal(embedded(answer)[0], vectors_of([kept])[0])
    assert np.array_equal(embedded(answer)[1], vector_of([FIRST, 2000, LAST]))
    assert answer.headers["x-embedplane-truncated"] == "1"


async def test_the_prompt_stays_and_the_text_is_cut():
    async with served({"prompts": {"query": "find this "}}) as client:
        answer = await client.post("/v1/embeddings", json={"input": LONG, "truncate": True, "prompt_name": "query"})
        kept = " ".join(["find", "this", *WORDS[: WINDOW - 4]])
        assert np.array_equal(embedded(answer), vectors_of([kept]))
