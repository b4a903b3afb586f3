"""Of two texts that a model reads together, each no further than it may stay: as if both had been tokenised whole."""

import pytest
import tokenizers

from embedplane_server.refusals import TextTooLong
from embedplane_server.tokenization import Tokenizer, longest_first
from tests.support.fake_engine import FakeEngine, classifying_manifest
from tests.unit.embedplane_server.odd_texts import KINDS, Watched, minilm, text_like_nothing
from tests.unit.embedplane_server.serving import client_of

HUGE = ("." * 1_000_000, "the river runs " * 60_000)


def cut(whole, kept, side):
    """Return ids and types of the whole pair without what falls away; special tokens stand in neither text."""
    places = [[place for place, text in enumerate(whole.sequence_ids) if text == which] for which in (0, 1)]
    lost = {
        place
        for each, count in zip(places, kept, strict=True)
        for place in (each[count:] if side == "right" else each[: len(each) - count])
    }
    left = [place for place in range(len(whole)) if place not in lost]
    return [whole.ids[place] for place in left], [whole.type_ids[place] for place in left]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("make", KINDS)
def test_a_cut_pair_equals_the_one_that_was_tokenised_whole(make, side):
    reference = make()
    tokenizer = Tokenizer(tokenizers.Tokenizer.from_str(reference.to_str()))
    for seed in range(60):
        pair = text_like_nothing(seed), "a query" if seed % 3 == 0 else text_like_nothing(seed + 1000)
        pair = pair[::-1] if seed % 2 else pair
        window = (4, 9, 41, 200)[seed % 4]
        whole, room = reference.encode(*pair), window - reference.num_special_tokens_to_add(is_pair=True)
        lengths = [whole.sequence_ids.count(which) for which in (0, 1)]
        kept = longest_first(*lengths, room)
        found = tokenizer.fit([pair], window, side)[0]
        may_be = [kept, kept[::-1]] if min(lengths) > room and not found.is_counted else [kept]
        assert (found.ids, found.ids.type_ids) in [cut(whole, each, side) for each in may_be], (seed, window)
        assert (found.tokens > window) == (len(whole) > window), (seed, window)
        assert found.tokens == len(whole) if found.is_counted else window < found.tokens <= len(whole), (seed, window)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("pair", [HUGE, HUGE[::-1], ("a query", HUGE[0]), (HUGE[1], "x")])
def test_of_huge_texts_little_is_tokenised(pair, side):
    watched = Watched(minilm())
    found = Tokenizer(watched).fit([pair], 256, side)[0]
    assert (len(found.ids), found.is_counted) == (256, False)
    assert watched.most <= 64_000


def test_a_huge_text_beside_another_is_refused_if_it_may_fit():
    with pytest.raises(TextTooLong):
        Tokenizer(minilm()).fit([("a query", " " * 1_000_000)], 256, "right")


def test_of_a_huge_text_no_more_is_read_than_its_head():
    watched = Watched(minilm())
    assert Tokenizer(watched).head(HUGE[1], 4) == "the river runs the"
    assert watched.most <= 64_000


async def test_a_long_document_is_told_how_many_tokens_there_are_at_least():
    manifest = classifying_manifest("LABEL_0", activation="sigmoid")
    async with client_of(FakeEngine(1), Tokenizer(minilm()), manifest) as client:
        body = {"query": "x", "texts": ["y", HUGE[0]]}
        answer = await client.post("/rerank", json=body)
        assert answer.status_code == 422
        assert "however you requested at least " in answer.json()["error"]
        answer = await client.post("/rerank", json={**body, "truncate": True})
        assert answer.status_code == 200
        assert answer.headers["x-embedplane-truncated"] == "1"
