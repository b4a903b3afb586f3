"""Requests that go the short way are answered and counted as all others are; what may not go it goes the ordinary way.

The first request of a head is parsed, the second one of the same bytes need not be: so each is sent twice.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from embedplane_server import http_server
from embedplane_server.http_heads import END, KnownHeads
from embedplane_server.routes.connection import Connection
from embedplane_server.routes.express import Exchange, Head
from embedplane_server.scheduling.work import Embedded
from embedplane_server.settings import DimensionsPolicy
from tests.support.eventually import until
from tests.support.fake_engine import (
    SPACE,
    FakeEngine,
    classifying_manifest,
    engine_manifest,
    fake_application,
    vector_of,
)
from tests.support.fake_server import RunningServer, running_server
from tests.support.raw_http import Client
from tests.support.waiting import wait_for

TEXT = {"model": "minilm", "input": "some text"}
TIMES = re.compile(r"^(?:process_|python_)|_sum\{|_bucket\{|_created\{|busy_seconds")


@contextmanager
def client_of(server: RunningServer, **options: int) -> Iterator[Client]:
    client = Client(server.port, **options)
    with client.socket:
        yield client


def post(body: Any, *headers: str, path: str = "/v1/embeddings") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = "".join(f"{line}\r\n" for line in ("host: x", *headers, f"content-length: {len(content)}"))
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


def counts(server: RunningServer) -> dict[str, float]:
    """Return what the server counts, times left out."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    series = (line.rsplit(" ", 1) for line in lines if not line.startswith("#") and not TIMES.search(line))
    return {name: float(value) for name, value in series if "/metrics" not in name}


def change(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}


def make_known(server: RunningServer, client: Client, body: dict[str, Any] = TEXT) -> None:
    """Have a request answered, so that its head is known."""
    assert client.ask(post(body)).status == "HTTP/1.1 200 OK"
    server.engine.wait_until_busy()


@pytest.fixture
def short(monkeypatch) -> list[str]:
    """The texts that went the short way."""
    taken: list[str] = []
    really = Exchange.begin

    def begin(self: Exchange) -> None:
        taken.append(self._text)
        really(self)

    monkeypatch.setattr(Exchange, "begin", begin)
    return taken


PROMPTS = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt": "passage"}
ALIKE: dict[str, tuple[Any, dict[str, Any]]] = {
    "a text": (TEXT, {}),
    "a list of one text": ({**TEXT, "input": ["some text"]}, {}),
    "base64": ({**TEXT, "encoding_format": "base64"}, {}),
    "no model": ({"input": "some text"}, {}),
    "another of its names": ({**TEXT, "model": "org/minilm"}, {}),
    "a model that is not served": ({**TEXT, "model": "other"}, {}),
    "a prompt": ({**TEXT, "prompt_name": "query"}, PROMPTS),
    "an input type": ({**TEXT, "input_type": "search_query"}, PROMPTS),
    "the default prompt": (TEXT, PROMPTS),
    "an unknown prompt": ({**TEXT, "prompt_name": "other"}, PROMPTS),
    "fewer dimensions": ({**TEXT, "dimensions": 4}, {"dimensions": DimensionsPolicy(allowed=(4,))}),
    "dimensions that it has not": ({**TEXT, "dimensions": 5}, {}),
    "no text": ({**TEXT, "input": ""}, {}),
    "a text that is too long": ({**TEXT, "input": "w " * 100}, {}),
    "a long text that is cut": ({**TEXT, "input": "w " * 100, "truncate": True}, {}),
    "letters of all kinds": ({**TEXT, "input": 'żółw 🐢 \u2028 " \\'}, {}),
    "fields that mean nothing": ({**TEXT, "user": "me", "other": [1, {"a": None}]}, {}),
}


@pytest.mark.parametrize("case", ALIKE)
def test_an_answer_is_the_same_either_way_and_so_is_what_is_counted(case, short):
    body, options = ALIKE[case]
    described = {name: options[name] for name in PROMPTS if name in options}
    settings = {name: value for name, value in options.items() if name not in PROMPTS}
    with running_server(engine_manifest(**described), **settings) as server, client_of(server) as client:
        none = counts(server)
        ordinary = client.ask(post(body))
        assert short == []
        once = counts(server)
        again = client.ask(post(body))
        assert len(short) == 1
        assert again.told == ordinary.told
        assert change(once, counts(server)) == change(none, once)
        assert again.headers["x-request-id"] != ordinary.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/embeddings", "/a/path/of/ones/own"])
def test_other_paths_of_the_route_lead_there_too(path, short):
    with running_server(default_route="/a/path/of/ones/own") as server, client_of(server) as client:
        ordinary, again = client.ask(post(TEXT, path=path)), client.ask(post(TEXT, path=path))
        assert again.told == ordinary.told
        assert short == ["some text"]


ORDINARY = {
    "two texts": post({"input": ["one", "two"]}),
    "token ids": post({"input": [101, 1000, 102]}),
    "an id of its own": post(TEXT, "x-request-id: mine"),
    "less time": post(TEXT, "x-embedplane-timeout-ms: 5000"),
    "a space": post(TEXT, "x-embedplane-vector-space: vs1-00112233445566778899"),
    "an origin": post(TEXT, "origin: https://page.example"),
    "the end of the connection": post(TEXT, "connection: close"),
    "no connection at all": post(TEXT, "connection: keep-alive", "connection: close"),
    "the end of a proxy's connection": post(TEXT, "proxy-connection: close"),
    "an older protocol": post(TEXT).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "no JSON": post(b"{"),
    "no fitting JSON": post({"input": {"a": 1}}),
    "a long text": post({"input": "word " * 300}),
    "another route": post({"inputs": "some text"}, path="/embed"),
    "a chunked body": b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    b'e\r\n{"input": "x"}\r\n0\r\n\r\n',
}


@pytest.mark.parametrize("case", ORDINARY)
def test_whatever_else_is_asked_goes_the_ordinary_way(case, short):
    with running_server() as server:
        answers = []
        for _ in range(2):  # each over a connection of its own: all connections know the same heads
            with client_of(server) as client:
                assert {client.ask(post(TEXT)).status for _ in range(2)} == {"HTTP/1.1 200 OK"}
                taken = len(short)
                assert taken
                answers.append(client.ask(ORDINARY[case]))
                assert len(short) == taken
        assert answers[0].told == answers[1].told


def test_models_that_classify_have_no_short_way(short):
    with running_server(classifying_manifest("yes", "no")) as server, client_of(server) as client:
        assert [client.ask(post(TEXT)).status for _ in range(2)] == ["HTTP/1.1 404 Not Found"] * 2
        assert short == []


def test_a_request_that_comes_in_pieces_is_put_together(short):
    request = post(TEXT)
    with running_server() as server, client_of(server) as client:
        whole = client.ask(request)
        for size in (10, len(request) - 3):
            send_alone(server, client, request[:size])
            assert client.ask(request[size:]).told == whole.told
        assert short == []
        assert client.ask(request).told == whole.told
        assert short == ["some text"]


def send_alone(server: RunningServer, client: Client, part: bytes) -> None:
    """Send bytes, and have the server read them before it reads what comes next."""
    client.socket.sendall(part)
    assert httpx.get(f"{server.url}/health/live").is_success  # by the same event loop


def test_what_looks_like_a_known_request_within_a_body_is_no_request(tmp_path, short):
    (tmp_path / "keys").write_text("right", encoding="utf-8")
    known = post(TEXT, "api-key: right")
    with running_server(api_keys_files=[tmp_path / "keys"]) as server, client_of(server) as client:
        assert client.ask(known).status == "HTTP/1.1 200 OK"
        head = post(b" " * len(known), "api-key: wrong").partition(END)[0]
        refused = client.ask(head + END)  # is told so before its body comes
        assert refused.status == "HTTP/1.1 401 Unauthorized"
        send_alone(server, client, known)
        assert short == []
        assert client.ask(known).status == "HTTP/1.1 200 OK"
        assert short == ["some text"]


def test_a_key_is_asked_for_each_time(tmp_path, short):
    keys = tmp_path / "keys"
    keys.write_text("old", encoding="utf-8")
    with running_server(api_keys_files=[keys]) as server, client_of(server) as client:
        assert {client.ask(post(TEXT, "api-key: old")).status for _ in range(2)} == {"HTTP/1.1 200 OK"}
        assert len(short) == 1
        keys.write_text("new", encoding="utf-8")
        wait_for("the keys are read again", lambda: "401" in client.ask(post(TEXT, "api-key: old")).status)
        ordinary, again = (
            client.ask(post(TEXT, "api-key: old", "x-request-id: 1")),
            client.ask(post(TEXT, "api-key: old")),
        )
        assert {**again.told[1], "x-request-id": ""} == ordinary.told[1]
        assert again.body == ordinary.body


def test_requests_that_come_together_are_answered_in_their_order(short):
    first, *others = (post({"input": f"text {number}"}) for number in range(4))
    with running_server() as server, client_of(server) as client:
        alone = [client.ask(request).body for request in (first, *others)]
        server.engine.hold()
        send_alone(server, client, first)  # goes the short way, and waits for the engine
        assert short[-1] == "text 0"
        client.socket.sendall(b"".join(others))
        server.engine.release()
        assert [client.answer().body for _ in alone] == alone


def test_a_client_that_reads_late_gets_all_its_answers(short):
    texts = [f"text {number}" for number in range(10)]
    with running_server() as server, client_of(server, receive_bytes=4096) as client:
        expected = [client.ask(post({"input": text})).body for text in texts]
        for text in texts * 100:
            client.socket.sendall(post({"input": text}))
        assert [client.answer().body for _ in range(1000)] == expected * 100
        assert short


def test_a_batch_that_fails_is_told_the_same_way(short):
    with running_server() as server, client_of(server) as client:
        assert client.ask(post(TEXT)).status == "HTTP/1.1 200 OK"
        server.engine.fails_on = set()
        none = counts(server)
        again = client.ask(post(TEXT))
        once = counts(server)
        ordinary = client.ask(post(TEXT, "x-request-id: mine"))
        assert short == ["some text"]
        assert again.status == "HTTP/1.1 500 Internal Server Error"
        assert {**again.told[1], "x-request-id": ""} == ordinary.told[1]
        assert again.body == ordinary.body
        assert change(none, once) == change(once, counts(server))


def test_a_full_queue_is_told_the_same_way(short):
    with running_server(max_queued_tokens=20) as server, client_of(server) as client, client_of(server) as other:
        make_known(server, client, {"input": "one two"})
        server.engine.hold()
        other.socket.sendall(post({"input": "w " * 10}))
        server.engine.wait_until_busy()
        with client_of(server) as third:
            send_alone(server, third, post({"input": ["w " * 10, "w w w w"]}))
            refused = client.ask(post({"input": "one two"}))
        assert short[-1] == "one two"
        assert refused.status == "HTTP/1.1 429 Too Many Requests"
        assert {"retry-after", "retry-after-ms"} <= refused.headers.keys()
        assert refused.headers["connection"] == "close"
        assert client.is_closed()


def test_a_request_that_takes_too_long_gets_504_and_frees_its_work(short):
    with running_server(max_request_seconds=0.3) as server, client_of(server) as client, client_of(server) as other:
        make_known(server, client)
        server.engine.hold()
        other.socket.sendall(post({"input": "w " * 10}))
        server.engine.wait_until_busy()
        late = client.ask(post(TEXT))
        assert short[-1] == "some text"
        assert late.status == "HTTP/1.1 504 Gateway Timeout"
        assert json.loads(late.body)["error"]["code"] == "request_timeout"
        assert server.queued_inputs == 0
        assert (
            counts(server)['embedplane_tokens_total{model="minilm",outcome="cancelled",vector_space="' + SPACE + '"}']
            == 4
        )
        server.engine.release()
        assert client.ask(post(TEXT)).status == "HTTP/1.1 200 OK"


def test_a_client_that_leaves_frees_its_work(short):
    with running_server() as server, client_of(server) as other:
        with client_of(server) as client:
            make_known(server, client)
            server.engine.hold()
            other.socket.sendall(post({"input": "w " * 10}))
            server.engine.wait_until_busy()
            client.socket.sendall(post(TEXT))
            wait_for("it waits", lambda: server.queued_inputs == 1)
        wait_for("it waits no more", lambda: server.queued_inputs == 0)
        assert short[-1] == "some text"
        left = counts(server)
        labels = f'model="minilm",reason="client_left",vector_space="{SPACE}"'
        assert left[f"embedplane_rejected_total{{{labels}}}"] == 1
        assert sum(value for name, value in left.items() if 'status="499"' in name) == 1


def test_a_server_that_ends_finishes_what_it_has_begun(short):
    with running_server(drain_delay_seconds=0) as server, client_of(server) as client:
        make_known(server, client)
        server.engine.hold()
        client.socket.sendall(post(TEXT))
        server.engine.wait_until_busy()
        server.server.begin_draining()
        wait_for("the server stops listening", lambda: server.server.should_exit)
        server.engine.release()
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == ("HTTP/1.1 200 OK", "close")
        assert client.is_closed()
        assert short == ["some text"]


def test_a_connection_that_asks_no_more_is_closed(monkeypatch, short):
    monkeypatch.setattr(http_server, "IDLE_CONNECTION_SECONDS", 1)
    with running_server() as server, client_of(server) as client:
        assert {client.ask(post(TEXT)).status for _ in range(2)} == {"HTTP/1.1 200 OK"}
        assert short == ["some text"]
        assert client.is_closed()


async def test_an_answer_that_is_ready_when_the_time_is_up_is_the_only_one():
    engine = FakeEngine()
    application = fake_application(engine, engine_manifest(), max_request_seconds=60)
    async with application.running():
        engine.hold()
        statuses: list[int] = []
        assert application.express is not None
        exchange = application.express.exchange(
            Head("/v1/embeddings", []), b'{"input": "a"}', Connection(), lambda status, *_: statuses.append(status)
        )
        assert exchange is not None
        exchange.begin()
        exchange._admitted.work.future.set_result(Embedded(vector_of([1])[None], 0.0, 0.0))
        exchange._expire()
        exchange._leave()
        await until(lambda: bool(statuses))
        engine.release()
    assert statuses == [200]


def test_texts_of_all_lengths_have_one_head(short):
    with running_server() as server, client_of(server) as client:
        for length in range(1, 60):
            assert client.ask(post({"input": "x" * length})).status == "HTTP/1.1 200 OK"
    assert short == ["x" * length for length in range(2, 60)]


def test_a_prompt_that_is_long_itself_is_not_tokenised_between_other_requests(short):
    long = engine_manifest(prompts={"long": "w " * 600}, default_prompt=None)
    with running_server(long) as server, client_of(server) as client:
        assert {client.ask(post(TEXT)).status for _ in range(3)} == {"HTTP/1.1 200 OK"}
    assert short == []


def test_bodies_may_be_no_larger_than_elsewhere(short):
    with running_server(max_request_bytes=1024) as server, client_of(server) as client:
        assert client.ask(post(TEXT)).status == "HTTP/1.1 200 OK"
        assert client.ask(post({**TEXT, "user": "u" * 1000})).status == "HTTP/1.1 413 Request Entity Too Large"
        assert short == []


def test_who_may_not_ask_is_not_remembered(tmp_path, monkeypatch, short):
    learned: list[Head] = []
    monkeypatch.setattr(KnownHeads, "learn", lambda _, __, head: learned.append(head))
    (tmp_path / "keys").write_text("right", encoding="utf-8")
    with running_server(api_keys_files=[tmp_path / "keys"]) as server, client_of(server) as client:
        for _ in range(2):
            assert client.ask(post(TEXT, "api-key: wrong")).status == "HTTP/1.1 401 Unauthorized"
        assert learned == []
        assert client.ask(post(TEXT, "x-other: 1", "api-key: right")).status == "HTTP/1.1 200 OK"
    assert learned == [Head("/v1/embeddings", [(b"api-key", b"right")])]
    assert short == []
