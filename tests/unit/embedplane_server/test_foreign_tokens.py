"""LangChain's token ids of cl100k_base are turned back into text where the server can, and refused where it cannot."""

import gzip
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from embedplane_server import cl100k
from embedplane_server.cl100k import Cl100k, find_cl100k
from embedplane_server.errors import PermanentError
from embedplane_server.refusals import ForeignTokens
from tests.support.fake_engine import FIRST, LAST, FakeEngine, fake_application, vector_of
from tests.unit.embedplane_server.serving import embedded, served, vectors_of

CL100K = {"x-embedplane-token-encoding": "cl100k_base"}
SHORT_TEXT, X, E_ACUTE = [64, 2875, 1495], [87], [127, 102]


def test_ids_become_the_text_they_were_made_of():
    table = find_cl100k()
    assert table is not None
    assert table.decode([15339, 1917]) == "hello world"
    assert table.decode([*E_ACUTE, 100_257]) == "é<|endoftext|>"
    assert table.decode(E_ACUTE[:1]) == "\ufffd"
    with pytest.raises(ForeignTokens, match="100256 is no id of cl100k_base"):
        table.decode([0, 100_256])


async def test_a_client_says_whose_ids_it_sends(client):
    answer = await client.post("/v1/embeddings", json={"input": [SHORT_TEXT, X]}, headers=CL100K)
    assert np.array_equal(embedded(answer), vectors_of(["a short text", "x"]))
    assert answer.json()["usage"]["prompt_tokens"] == 8
    own = await client.post("/v1/embeddings", json={"input": [FIRST, 2000, LAST]})
    assert np.array_equal(embedded(own)[0], vector_of([FIRST, 2000, LAST]))
    unsaid = await client.post("/v1/embeddings", json={"input": [SHORT_TEXT]})
    assert unsaid.status_code == 400
    assert "x-embedplane-token-encoding" in unsaid.json()["error"]["message"]


async def test_a_server_may_be_for_clients_that_say_nothing():
    async with served({"prompts": {"q": "find "}}, token_encoding="cl100k_base") as client:
        answer = await client.post("/v1/embeddings", json={"input": [SHORT_TEXT], "prompt_name": "q"})
        assert np.array_equal(embedded(answer), vectors_of(["find a short text"]))
        own = {"x-embedplane-token-encoding": "model"}
        answer = await client.post("/v1/embeddings", json={"input": [FIRST, 2000, LAST]}, headers=own)
        assert np.array_equal(embedded(answer)[0], vector_of([FIRST, 2000, LAST]))
        assert (await client.get("/info")).json()["token_encoding"] == "cl100k_base"
        answer = await client.post("/v1/embeddings", json={"input": [[0, 100_256]]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "foreign_tokens")


async def test_ids_that_cannot_be_read_are_refused_with_the_way_out(client):
    headers = {"x-embedplane-token-encoding": "o200k_base"}
    answer = await client.post("/v1/embeddings", json={"input": [[57668, 53901]]}, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "unknown_token_encoding")
    assert "check_embedding_ctx_length=False" in error["message"]


async def test_a_name_that_means_something_may_stand_above_texts_and_any_other_may_not(client):
    statuses = {}
    for name in ("model", "cl100k_base", "o200k_base", ""):
        headers = {"x-embedplane-token-encoding": name}
        statuses[name] = (await client.post("/v1/embeddings", json={"input": "x"}, headers=headers)).status_code
    assert statuses == {"model": 200, "cl100k_base": 200, "o200k_base": 400, "": 400}


def test_a_table_that_was_changed_is_not_used(tmp_path):
    (tmp_path / "table").write_bytes(gzip.compress(b"IQ== 0\n"))
    with pytest.raises(ValueError, match="is not OpenAI's table of cl100k_base"):
        Cl100k(tmp_path / "table").decode([0])


async def test_an_image_without_the_table_serves_all_the_same_and_says_what_it_cannot(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(cl100k, "distribution", missing)
    async with served() as client:
        answer = await client.post("/v1/embeddings", json={"input": [SHORT_TEXT]}, headers=CL100K)
        assert answer.json()["error"]["code"] == "unknown_token_encoding"
    with pytest.raises(PermanentError, match="which this image lacks"):
        fake_application(FakeEngine(), token_encoding="cl100k_base")
