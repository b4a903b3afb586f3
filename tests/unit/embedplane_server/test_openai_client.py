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
