"""A text much longer than the window is refused, or cut, from one end of it, as if all of it had been tokenised."""

import pytest
import tokenizers

from embedplane_server.long_texts import last_look
from embedplane_server.refusals import TextTooLong
from embedplane_server.tokenization import Tokenizer
from tests.support.fake_engine import FakeEngine, engine_manifest
from tests.unit.embedplane_server.odd_texts import KINDS, Watched, minilm, text_like_nothing
from tests.unit.embedplane_server.serving import client_of


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("make", KINDS)
def test_a_cut_text_equals_the_one_that_was_tokenised_whole(make, side):
    reference = make()
    tokenizer = Tokenizer(tokenizers.Tokenizer.from_str(reference.to_str()))
    for seed in range(150):
        text, window = text_like_nothing(seed), (3, 8, 40, 200)[seed % 4]
        whole = len(reference.encode(text))
        reference.enable_truncation(window, direction=side)
        expected = reference.encode(text).ids
        reference.no_truncation()
        found = tokenizer.fit([text], window, side)[0]
        assert found.ids == expected, (seed, window)
        assert (found.tokens > window) == (whole > window), (seed, window)
        assert found.tokens == whole if found.is_counted else window < found.tokens <= whole, (seed, window)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("unit", [".", "漢", "word ", "x" * 120 + " ", "7.", "e\u0301 "])
def test_of_a_huge_text_little_is_tokenised(unit, side):
    watched = Watched(minilm())
    found = Tokenizer(watched).fit([unit * (1_000_000 // len(unit))], 256, side)[0]
    assert (found.tokens > 256, found.is_counted) == (True, False)
    assert watched.most <= 64_000


@pytest.mark.parametrize("text", [" " * 1_000_000, "x" * 1_000_000])
def test_a_huge_text_that_may_fit_is_refused_rather_than_tokenised(text):
    watched = Watched(minilm())
    with pytest.raises(TextTooLong, match=r"at most 262144 characters of a text are read, however you requested 10"):
        Tokenizer(watched).fit([text], 256, "right")
    assert watched.most <= last_look(256)


def test_a_text_of_spaces_and_unknown_words_that_fits_is_embedded_whole():
    text = "the" + " " * 100_000 + "x" * 100_000 + " river"
    assert Tokenizer(minilm()).fit([text], 256, "right")[0].ids == minilm().encode(text).ids


async def test_a_long_text_is_told_how_many_tokens_it_has_at_least():
    async with client_of(FakeEngine(), Tokenizer(minilm()), engine_manifest()) as client:
        answer = await client.post("/v1/embeddings", json={"input": ["x", "." * 100_000]})
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "context_length_exceeded"
        assert "however you requested at least " in answer.json()["error"]["message"]
        answer = await client.post("/v1/embeddings", json={"input": " " * 1_000_000, "truncate": True})
        assert answer.json()["error"]["code"] == "context_length_exceeded"


async def test_a_request_is_tokenised_no_further_than_its_limit():
    watched = Watched(minilm())
    async with client_of(FakeEngine(), Tokenizer(watched), engine_manifest(), max_request_tokens=20_000) as client:
        answer = await client.post("/v1/embeddings", json={"input": ["." * 500] * 2000, "truncate": True})
        assert answer.json()["error"]["code"] == "max_tokens_per_request"
        assert answer.json()["error"]["message"].startswith("Requested at least ")


@pytest.mark.parametrize("inputs", ["." * 70_000, ["." * 500] * 200])
async def test_tokens_are_spelled_out_up_to_a_limit(inputs):
    watched = Watched(minilm())
    async with client_of(FakeEngine(), Tokenizer(watched), engine_manifest()) as client:
        assert len((await client.post("/tokenize", json={"inputs": "." * 60_000})).json()[0]) == 60_002
        answer = await client.post("/tokenize", json={"inputs": inputs})
        assert answer.status_code == 422
        assert "max 65536 tokens per request" in answer.json()["error"]
        assert watched.most <= 70_000


async def test_no_more_ids_are_decoded_than_a_request_may_hold(client):
    answer = await client.post("/decode", json={"ids": [7] * 300_001})
    assert answer.status_code == 422
    assert answer.json()["error"] == "Requested 300001 tokens, max 300000 tokens per request"
