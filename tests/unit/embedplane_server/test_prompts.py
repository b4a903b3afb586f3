"""Which prompt stands before a text: the one that is named, the one that its type means, or the default."""

import numpy as np
import pytest

from embedplane_server.prompts import Prompts
from embedplane_server.refusals import RequestRefused
from tests.support.fake_engine import FIRST, LAST
from tests.unit.embedplane_server.serving import embedded, served, vectors_of

E5 = {"query": "query: ", "passage": "passage: "}
NOMIC = {"search_query": "search_query: ", "search_document": "search_document: ", "clustering": "clustering: "}


@pytest.mark.parametrize(
    ("prompts", "input_type", "text"),
    [
        (E5, "query", "query: "),
        (E5, "search_query", "query: "),
        (E5, "retrieval_query", "query: "),
        (E5, "RETRIEVAL_QUERY", "query: "),
        (E5, "document", "passage: "),
        (E5, "passage", "passage: "),
        (E5, "search_document", "passage: "),
        (E5, "classification", ""),
        (NOMIC, "search_query", "search_query: "),
        (NOMIC, "search_document", "search_document: "),
        (NOMIC, "clustering", "clustering: "),
        (NOMIC, "query", ""),
        ({"corpus": "c: "}, "document", "c: "),
        ({"STS": "s: "}, "STS", "s: "),
        ({}, "query", ""),
    ],
)
def test_an_input_type_means_the_prompt_that_sentence_transformers_takes_or_the_one_of_its_own_name(
    prompts, input_type, text
):
    assert Prompts(prompts, None).text(input_type=input_type) == text


def test_the_default_prompt_stands_only_where_nothing_is_named():
    prompts = Prompts({**E5, "none": ""}, "query")
    assert prompts.text() == "query: "
    assert prompts.text(name="passage") == "passage: "
    assert prompts.text(name="none") == ""
    assert prompts.text(input_type="clustering") == ""


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(RequestRefused, match=r"'pasage' is not known\. Known are passage, query"):
        Prompts(E5, None).text(name="pasage")
    with pytest.raises(RequestRefused, match="none: this model has no prompts"):
        Prompts({}, None).text(name="query")
    with pytest.raises(RequestRefused, match=r"'image' is not known\. Known are query, search_query.*clustering"):
        Prompts(E5, None).text(input_type="image")


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({}, "query: x"),
        ({"prompt_name": "passage"}, "passage: x"),
        ({"input_type": "document"}, "passage: x"),
        ({"input_type": "clustering"}, "x"),
        ({"prompt_name": None, "input_type": None}, "query: x"),
    ],
)
async def test_prompts_on_every_route_that_has_them(asked, text):
    async with served({"prompts": E5, "default_prompt": "query"}) as client:
        openai = await client.post("/v1/embeddings", json={"input": "x", **asked})
        tei = await client.post("/embed", json={"inputs": "x", **asked})
        assert np.array_equal(embedded(openai), vectors_of([text]))
        assert openai.json()["usage"]["prompt_tokens"] == 2 + len(text.split())
        assert np.array_equal(np.float32(tei.json()), vectors_of([text]))


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"prompt_name": "other"}, "prompt_name"),
        ({"prompt_name": ""}, "prompt_name"),
        ({"prompt_name": 3}, "prompt_name"),
        ({"input_type": "image"}, "input_type"),
        ({"prompt_name": "query", "input_type": "query"}, "prompt_name"),
    ],
)
async def test_a_prompt_that_is_not_known_gets_400(asked, param):
    async with served({"prompts": E5}) as client:
        answer = await client.post("/v1/embeddings", json={"input": "x", **asked})
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == param


async def test_no_prompt_can_stand_before_token_ids():
    async with served({"prompts": E5, "default_prompt": "query"}) as client:
        ids = [FIRST, 2000, LAST]
        assert (await client.post("/v1/embeddings", json={"input": ids})).status_code == 200
        assert (await client.post("/v1/embeddings", json={"input": ids, "input_type": "clustering"})).status_code == 200
        answer = await client.post("/v1/embeddings", json={"input": ids, "input_type": "query"})
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "input_type"
