"""Vectors of single tokens, as text-embeddings-inference has them on `/embed_all`."""

import asyncio

import numpy as np
import pytest

from embedplane_server.scheduling.work import Lane
from tests.support.eventually import until
from tests.support.fake_engine import (
    SPACE,
    WINDOW,
    FakeEngine,
    FakeTokenizer,
    engine_manifest,
    token_vectors_of,
)
from tests.unit.embedplane_server.serving import client_of, served

TEXTS = ["a short text", "x", "w " * 40]


def same(answer, texts) -> bool:
    assert answer.status_code == 200, answer.text
    expected = [token_vectors_of(ids) for ids in FakeTokenizer().encode(texts)]
    found = [np.float32(rows) for rows in answer.json()]
    return all(np.array_equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


@pytest.mark.parametrize("inputs", [TEXTS, TEXTS[0]])
async def test_each_input_gives_a_list_of_vectors_one_a_token(client, inputs):
    answer = await client.post("/embed_all", json={"inputs": inputs})
    assert same(answer, inputs if isinstance(inputs, list) else [inputs])
    assert answer.headers["x-compute-tokens"] == str(sum(len(rows) for rows in answer.json()))


async def test_token_ids_prompts_and_cuts_are_as_for_embed():
    async with served({"prompts": {"q": "find "}}) as client:
        ids = FakeTokenizer().encode(TEXTS)
        assert same(await client.post("/embed_all", json={"inputs": ids}), TEXTS)
        prompted = await client.post("/embed_all", json={"inputs": TEXTS, "prompt_name": "q"})
        assert same(prompted, ["find " + text for text in TEXTS])
        words = [f"w{number}" for number in range(100)]
        body = {"inputs": " ".join(words), "truncate": True, "truncation_direction": "left"}
        cut = await client.post("/embed_all", json=body)
        assert same(cut, [" ".join(words[-WINDOW + 2 :])])
        assert cut.headers["x-embedplane-truncated"] == "1"


async def test_they_share_queue_and_budget_with_others_but_no_call_of_the_engine(client, engine, application):
    engine.hold()
    first = asyncio.create_task(client.post("/embed", json={"inputs": "x"}))
    await asyncio.to_thread(engine.wait_until_busy)
    others = [asyncio.create_task(client.post(path, json={"inputs": TEXTS})) for path in ("/embed", "/embed_all")]
    await until(lambda: application.scheduler.queued(Lane.INTERACTIVE).inputs == 2 * len(TEXTS))
    engine.release()
    await asyncio.gather(first, *others)
    assert same(others[1].result(), TEXTS)
    assert {batch.every_token for batch in engine.batches[1:]} == {False, True}
    assert max(batch.longest * len(batch.token_ids) for batch in engine.batches) <= 256


async def test_tokens_have_the_models_own_length_whatever_texts_are_served_with():
    async with served(dimensions={"default": 4}) as client:
        headers = {"x-embedplane-vector-space": SPACE}
        answer = await client.post("/embed_all", json={"inputs": TEXTS}, headers=headers)
        assert same(answer, TEXTS)
        assert answer.headers["x-embedplane-vector-space"] == SPACE


async def test_an_answer_holds_so_many_tokens_at_most(client):
    answer = await client.post("/embed_all", json={"inputs": ["w " * 60] * 300})
    assert answer.status_code == 422
    assert "max 16384 tokens per request" in answer.json()["error"]


async def test_an_engine_that_has_none_says_how_to_get_them():
    async with client_of(FakeEngine(token_dimensions=None), FakeTokenizer(), engine_manifest()) as client:
        answer = await client.post("/embed_all", json={"inputs": "x"})
        assert (await client.post("/embed", json={"inputs": "x"})).status_code == 200
    assert answer.status_code == 404
    assert "made again" in answer.json()["error"]


@pytest.mark.parametrize(("inputs", "status"), [("", 400), ([], 400), (3, 422), ([[7]], 422)])
async def test_what_is_wrong_is_refused_as_for_embed(client, inputs, status):
    assert (await client.post("/embed_all", json={"inputs": inputs})).status_code == status
