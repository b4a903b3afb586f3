"""Work that nobody waits for any more is dropped before it is computed, wherever it is then."""

import asyncio
import json
import socket
import threading
from collections.abc import Sequence

import httpx
import pytest

from tests.support.fake_engine import MANIFESTS, FakeEngine, FakeTokenizer, Fitted, engine_manifest
from tests.support.fake_server import running_server
from tests.support.waiting import wait_for
from tests.unit.embedplane_server.serving import client_of

TIMEOUT = "x-embedplane-timeout-ms"
LONG = ["word " * 600] * 200
ASKED = {
    "/embed": {"inputs": "x"},
    "/embed_all": {"inputs": "x"},
    "/similarity": {"inputs": {"source_sentence": "x", "sentences": ["y"]}},
    "/v2/embed": {"texts": ["x"]},
    "/api/embed": {"model": "minilm", "input": "x"},
    "/rerank": {"query": "x", "texts": ["y"]},
    "/v1/rerank": {"query": "x", "documents": ["y"]},
    "/v2/rerank": {"query": "x", "documents": ["y"]},
    "/predict": {"inputs": "x"},
}


class HeldTokenizer(FakeTokenizer):
    """Remembers how many chunks it was given, and goes on only when a test lets it."""

    def __init__(self) -> None:
        self.chunks = self.heads = 0
        self.goes_on = threading.Event()

    def fit(self, texts: Sequence[str], window: int, side: str) -> list[Fitted]:
        self.chunks += 1
        assert self.goes_on.wait(30)
        return super().fit(texts, window, side)

    def head(self, text: str, tokens: int) -> str:
        self.heads += 1
        assert self.goes_on.wait(30)
        return super().head(text, tokens)


async def test_a_client_may_give_a_request_less_time_than_the_server(client, application, engine):
    engine.hold()
    running = asyncio.create_task(client.post("/v1/embeddings", json={"input": "runs"}))
    await asyncio.to_thread(engine.wait_until_busy)
    answer = await client.post("/v1/embeddings", json={"input": ["waits"] * 3}, headers={TIMEOUT: "50"})
    assert answer.status_code == 504
    assert answer.json()["error"]["message"].startswith("The request took longer than the 0.05 seconds that it has.")
    engine.release()
    assert (await running).status_code == 200
    assert [len(batch.token_ids) for batch in engine.batches] == [1]


@pytest.mark.parametrize("value", ["0", "-5", "1.5", "soon", "", "99999999999"])
async def test_a_time_that_is_none_is_refused(client, value):
    answer = await client.post("/v1/embeddings", json={"input": "x"}, headers={TIMEOUT: value})
    assert answer.status_code == 400
    assert "Send whole milliseconds" in answer.json()["error"]["message"]


async def test_a_request_with_time_enough_is_answered(client):
    answer = await client.post("/v1/embeddings", json={"input": "x"}, headers={TIMEOUT: "60000"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "field"),
    [("/v1/embeddings", "input"), ("/embed", "inputs"), ("/embed_all", "inputs"), ("/tokenize", "inputs")],
)
async def test_time_that_is_up_during_tokenisation_stops_it(path, field):
    tokenizer, engine = HeldTokenizer(), FakeEngine()
    async with client_of(engine, tokenizer, engine_manifest()) as client:
        answer = await client.post(
            path, json={"input": LONG, "inputs": LONG, "truncate": True}, headers={TIMEOUT: "50"}
        )
        assert answer.status_code == 504
        tokenizer.goes_on.set()
        assert (await client.post("/embed", json={"inputs": "after"})).status_code == 200
    assert tokenizer.chunks == 2  # the one that ran, and the request after
    assert len(engine.batches) == 1


@pytest.mark.parametrize("path", ["/embed", "/embed_all", "/similarity", "/v2/embed", "/api/embed"])
async def test_time_that_is_up_in_the_queue_gets_504_on_every_route_that_embeds(client, engine, path):
    await waits_in_vain(client, engine, path)


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank", "/predict"])
async def test_time_that_is_up_in_the_queue_gets_504_on_every_route_that_scores(path):
    engine = FakeEngine(1)
    async with client_of(engine, FakeTokenizer(), MANIFESTS["reranker"]) as client:
        await waits_in_vain(client, engine, path)


async def waits_in_vain(client: httpx.AsyncClient, engine: FakeEngine, path: str) -> None:
    """See that a request behind one that holds the engine is answered in time, and never computed."""
    engine.hold()
    running = asyncio.create_task(client.post(path, json=ASKED[path]))
    await asyncio.to_thread(engine.wait_until_busy)
    assert (await client.post(path, json=ASKED[path], headers={TIMEOUT: "50"})).status_code == 504
    engine.release()
    assert (await running).status_code == 200
    assert len(engine.batches) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", {"inputs": [[text] for text in LONG]}),
        ("/rerank", {"query": "q", "texts": LONG}),
        ("/v2/rerank", {"query": "q", "documents": LONG}),
    ],
)
async def test_time_that_is_up_during_tokenisation_stops_scoring_too(path, body):
    tokenizer, engine = HeldTokenizer(), FakeEngine(1)
    async with client_of(engine, tokenizer, MANIFESTS["reranker"]) as client:
        answer = await client.post(path, json={**body, "truncate": True}, headers={TIMEOUT: "50"})
        assert answer.status_code == 504
        tokenizer.goes_on.set()
        assert (await client.post("/predict", json={"inputs": "after"})).status_code == 200
    assert tokenizer.chunks == 2  # the one that ran, and the request after
    assert len(engine.batches) == 1


async def test_time_that_is_up_while_documents_are_shortened_stops_that():
    tokenizer, engine = HeldTokenizer(), FakeEngine(1)
    body = {"query": "q", "documents": LONG, "max_tokens_per_doc": 5}
    async with client_of(engine, tokenizer, MANIFESTS["reranker"]) as client:
        assert (await client.post("/v2/rerank", json=body, headers={TIMEOUT: "50"})).status_code == 504
        tokenizer.goes_on.set()
        assert (await client.post("/predict", json={"inputs": "after"})).status_code == 200
    assert 0 < tokenizer.heads < len(LONG)
    assert len(engine.batches) == 1


@pytest.mark.parametrize("path", ["/v1/embeddings", "/tokenize"])
def test_a_client_that_leaves_during_tokenisation_stops_it(path, monkeypatch):
    tokenizer = HeldTokenizer()
    monkeypatch.setattr("tests.support.fake_engine.FakeTokenizer", lambda: tokenizer)
    with running_server() as server:
        content = json.dumps({"input": LONG, "inputs": LONG, "truncate": True}).encode()
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            head = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (path.encode(), len(content))
            client.sendall(head + content)
            wait_for("it is tokenised", lambda: tokenizer.chunks, within=10, pause=0.005)
        metrics = f"{server.url}/metrics"
        wait_for("it is noticed", lambda: 'reason="client_left"' in httpx.get(metrics).text, within=10, pause=0.01)
        tokenizer.goes_on.set()
        assert httpx.post(f"{server.url}/embed", json={"inputs": "after"}).status_code == 200
        assert tokenizer.chunks == 2
        assert len(server.engine.batches) == 1
