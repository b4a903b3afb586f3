"""The openai client, unmodified, against a real server."""

import asyncio
import base64
from collections.abc import Iterator

import numpy as np
import openai
import pytest

from tests.support.fake_engine import FakeTokenizer, vector_of
from tests.support.fake_server import RunningServer, running_server

TEXTS = [f"text number {number}" for number in range(50)]


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running_server(max_queued_tokens=1000) as server:
        yield server


@pytest.fixture
def client(server: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def expected(texts):
    return np.stack([vector_of(ids) for ids in FakeTokenizer().encode(texts)])


@pytest.mark.parametrize("options", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_vectors_arrive_exactly_in_every_encoding(client, options):
    answer = client.embeddings.create(model="minilm", input=TEXTS, **options)
    embeddings = [entry.embedding for entry in answer.data]
    if options.get("encoding_format") == "base64":
        embeddings = [np.frombuffer(base64.b64decode(text), "<f4") for text in embeddings]
    assert np.array_equal(np.array(embeddings, dtype=np.float32), expected(TEXTS))
    assert answer.usage.total_tokens == 250


def test_what_openai_does_not_have_goes_into_the_extra_body(client):
    long = "word " * 100
    answer = client.embeddings.with_raw_response.create(
        model="minilm", input=[long, "x"], extra_body={"truncate": True, "input_type": "query"}
    )
    assert answer.headers["x-embedplane-truncated"] == "1"
    vectors = np.array([entry.embedding for entry in answer.parse().data], dtype=np.float32)
    assert np.array_equal(vectors, expected(["word " * 62, "x"]))


def test_the_clients_key_is_the_servers(tmp_path):
    (tmp_path / "keys").write_text("one\ntwo\n", encoding="utf-8")
    with running_server(api_keys_files=[tmp_path / "keys"]) as server:
        for key in ("one", "two"):
            with openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0) as client:
                assert client.embeddings.create(model="minilm", input="x").usage.total_tokens == 3
        with (
            openai.OpenAI(base_url=f"{server.url}/v1", api_key="three", max_retries=0) as client,
            pytest.raises(openai.AuthenticationError) as refused,
        ):
            client.embeddings.create(model="minilm", input="x")
        assert refused.value.code == "invalid_api_key"


def test_shorter_vectors_by_the_clients_own_parameter():
    with (
        running_server(dimensions={"allowed": [4]}) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        vectors = np.array(
            [e.embedding for e in client.embeddings.create(model="minilm", input=TEXTS, dimensions=4).data]
        )
        beginnings = expected(TEXTS)[:, :4]
        assert np.allclose(vectors, beginnings / np.linalg.norm(beginnings, axis=1, keepdims=True), atol=1e-6)


def test_the_client_finds_the_model(client):
    assert [model.id for model in client.models.list()] == ["minilm", "org/minilm", "model"]
    assert client.models.retrieve("minilm").id == "minilm"


def test_the_clients_own_errors_are_raised(client, server):
    with pytest.raises(openai.NotFoundError) as unknown:
        client.embeddings.create(model="other", input="x")
    assert unknown.value.code == "model_not_found"
    assert unknown.value.request_id
    with pytest.raises(openai.BadRequestError, match="maximum context length is 64 tokens"):
        client.embeddings.create(model="minilm", input="word " * 100)
    server.engine.fails_on = set()
    with pytest.raises(openai.InternalServerError):
        client.embeddings.create(model="minilm", input="x")


async def test_the_client_retries_an_overloaded_server_until_it_answers(server):
    server.engine.hold()
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=8) as client:
        requests = [
            asyncio.create_task(client.embeddings.create(model="minilm", input=["w " * 50] * 8)) for _ in range(5)
        ]
        await asyncio.to_thread(server.engine.wait_until_busy)
        server.engine.release()
        answers = await asyncio.gather(*requests)
    assert [len(answer.data) for answer in answers] == [8] * 5
