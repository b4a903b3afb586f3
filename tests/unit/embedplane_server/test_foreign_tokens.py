"""LangChain's token ids of cl100k_base are turned back into text where the server can, and refused where it cannot."""

import base64

import numpy as np
import pytest

from embedplane_server.cl100k import load_cl100k
from embedplane_server.errors import PermanentError
from embedplane_server.refusals import ForeignTokens
from tests.support.fake_engine import FIRST, LAST, FakeEngine, fake_application, vector_of
from tests.unit.embedplane_server.serving import embedded, served, vectors_of

CL100K = {"x-embedplane-token-encoding": "cl100k_base"}
PIECES = [b"a", b" short", b" text", b"x", "é".encode()[:1], "é".encode()[1:]]


@pytest.fixture
def table(tmp_path):
    """Return a table of the published form: base64 of the bytes, and the id."""
    path = tmp_path / "cl100k_base.tiktoken"
    path.write_text("".join(f"{base64.b64encode(piece).decode()} {i}\n" for i, piece in enumerate(PIECES)))
    return path


def test_ids_become_the_text_they_were_made_of(table):
    cl100k = load_cl100k(table)
    assert cl100k.decode([0, 1, 2]) == "a short text"
    assert cl100k.decode([4, 5, 100_257]) == "é<|endoftext|>"
    assert cl100k.decode([4]) == "\ufffd"
    with pytest.raises(ForeignTokens, match="77 is no id of cl100k_base"):
        cl100k.decode([0, 77])


async def test_a_client_says_whose_ids_it_sends(table):
    async with served(cl100k_file=table) as client:
        answer = await client.post("/v1/embeddings", json={"input": [[0, 1, 2], [3]]}, headers=CL100K)
        assert np.array_equal(embedded(answer), vectors_of(["a short text", "x"]))
        assert answer.json()["usage"]["prompt_tokens"] == 8
        own = await client.post("/v1/embeddings", json={"input": [FIRST, 2000, LAST]})
        assert np.array_equal(embedded(own)[0], vector_of([FIRST, 2000, LAST]))
        assert (await client.post("/v1/embeddings", json={"input": [[0, 1, 2]]})).status_code == 400


async def test_a_server_may_be_for_clients_that_say_nothing(table):
    async with served({"prompts": {"q": "find "}}, cl100k_file=table, token_encoding="cl100k_base") as client:
        answer = await client.post("/v1/embeddings", json={"input": [[0, 1, 2]], "prompt_name": "q"})
        assert np.array_equal(embedded(answer), vectors_of(["find a short text"]))
        own = {"x-embedplane-token-encoding": "model"}
        answer = await client.post("/v1/embeddings", json={"input": [FIRST, 2000, LAST]}, headers=own)
        assert np.array_equal(embedded(answer)[0], vector_of([FIRST, 2000, LAST]))
        assert (await client.get("/info")).json()["token_encoding"] == "cl100k_base"
        answer = await client.post("/v1/embeddings", json={"input": [[0, 99_999]]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "foreign_tokens")


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
async def test_ids_that_cannot_be_read_are_refused_with_the_way_out(client, name):
    headers = {"x-embedplane-token-encoding": name}
    answer = await client.post("/v1/embeddings", json={"input": [[57668, 53901]]}, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "unknown_token_encoding")
    assert "check_embedding_ctx_length=False" in error["message"]
    assert (await client.post("/v1/embeddings", json={"input": "x"}, headers=headers)).status_code == 200


@pytest.mark.parametrize("content", ["not a table", "IQ== zero", "!!! 0", "IQ== 0 0"])
def test_another_file_is_refused_at_start(tmp_path, content):
    path = tmp_path / "table"
    path.write_text(content)
    with pytest.raises(PermanentError, match="is not the table of cl100k_base"):
        fake_application(FakeEngine(), cl100k_file=path)


def test_cl100k_without_its_table_is_refused_at_start(tmp_path):
    with pytest.raises(PermanentError, match="needs its table"):
        fake_application(FakeEngine(), token_encoding="cl100k_base")
    with pytest.raises(PermanentError, match="cannot read"):
        fake_application(FakeEngine(), cl100k_file=tmp_path / "nothing")
