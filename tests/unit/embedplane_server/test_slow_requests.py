"""A request that does not arrive in time is told so, and neither it nor an idle connection holds the server up."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from starlette.types import Message

from embedplane_server import http_connection, http_server
from embedplane_server.options import RequestLimits
from embedplane_server.routes import body
from embedplane_server.scheduling.errors import ShuttingDown
from tests.support.fake_engine import MANIFESTS
from tests.support.fake_server import RunningServer, running_server
from tests.support.waiting import wait_for
from tests.unit.embedplane_server.serving import served

EMBEDDING = [b"/v1/embeddings", b"/embed", b"/embed_all", b"/tokenize", b"/decode", b"/v2/embed", b"/api/embed"]
SCORING = [b"/rerank", b"/v2/rerank", b"/predict"]
HEAD = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"

CONTENT = json.dumps({"inputs": [f"{'word' * 20} " * 60_000]}).encode()
LONG_ANSWER = b"POST /tokenize HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(CONTENT), CONTENT)
"""A request whose answer is more than the sockets hold."""


@contextmanager
def sending(server: RunningServer, start: bytes) -> Iterator[socket.socket]:
    """Send the start of a request, and no more."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(start)
        yield client


def read_to_end(client: socket.socket) -> bytes:
    answer = b""
    while part := client.recv(4096):
        answer += part
    return answer


def is_spelled(server: RunningServer) -> bool:
    return 'route="/tokenize",status="200"' in httpx.get(f"{server.url}/metrics").text


@pytest.mark.parametrize("path", EMBEDDING + SCORING)
def test_a_body_that_stalls_gets_408_and_its_connection_is_closed(path):
    manifest = MANIFESTS["reranker" if path in SCORING else "embedding"]
    with (
        running_server(manifest, max_body_seconds=0.2) as server,
        sending(server, HEAD % path + b'{"input"') as client,
    ):
        answer = read_to_end(client)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in answer
        assert b"did not arrive within the 0.2 seconds" in answer
        assert 'reason="body_too_slow"' in httpx.get(f"{server.url}/metrics").text


def test_a_body_that_drips_gets_408_too():
    with running_server(max_body_seconds=0.3) as server, sending(server, HEAD % b"/embed") as client:

        def is_refused() -> bool:
            client.sendall(b" ")
            client.settimeout(0.05)
            try:
                return client.recv(4096).startswith(b"HTTP/1.1 408 ")
            except TimeoutError:
                return False

        wait_for("it is refused", is_refused, within=10, pause=0.001)


def test_a_stalled_body_does_not_hold_up_the_drain(monkeypatch):
    monkeypatch.setattr(body, "LAST_SECONDS", 0.2)
    with running_server(drain_delay_seconds=0.1) as server, sending(server, HEAD % b"/v1/embeddings") as client:
        wait_for("it is being read", lambda: server.server.server_state.tasks, within=10, pause=0.01)
        server.server.begin_draining()
        answer = read_to_end(client)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after" in answer
        server.thread.join(10)
        assert not server.thread.is_alive()


def test_a_body_that_is_under_way_when_the_server_ends_is_served():
    content = b'{"input": "some text"}'
    head = HEAD.replace(b"1000", b"%d" % len(content)) % b"/v1/embeddings"
    with running_server(drain_delay_seconds=0.1) as server, sending(server, head + content[:9]) as client:
        wait_for("it is being read", lambda: server.server.server_state.tasks, within=10, pause=0.01)
        server.server.begin_draining()
        wait_for("it listens no more", lambda: not server.server.servers[0].is_serving(), within=10, pause=0.01)
        client.sendall(content[9:])
        assert read_to_end(client).startswith(b"HTTP/1.1 200 ")


def test_an_answer_that_nobody_reads_does_not_hold_up_the_drain(monkeypatch):
    monkeypatch.setattr(http_connection, "UNREAD_SECONDS", 0.2)
    with running_server() as server, sending(server, LONG_ANSWER):
        wait_for("it is answered", lambda: is_spelled(server), within=30)
        server.server.begin_draining()
        server.thread.join(20)
        assert not server.thread.is_alive()


def test_an_answer_that_is_read_slowly_is_sent_to_its_end(monkeypatch):
    monkeypatch.setattr(http_connection, "UNREAD_SECONDS", 1)
    with running_server() as server, sending(server, LONG_ANSWER) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        wait_for("it is answered", lambda: is_spelled(server), within=30)
        server.server.begin_draining()
        answer = bytearray()

        def is_read() -> bool:
            answer.extend(part := client.recv(32_768))
            return not part

        wait_for("it is read", is_read, within=60, pause=0.01)
        head, _, content = bytes(answer).partition(b"\r\n\r\n")
        assert b"content-length: %d\r\n" % len(content) in head + b"\r\n"


def test_a_head_that_stalls_gets_408(monkeypatch):
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.2)
    with running_server() as server, sending(server, b"POST /v1/embeddings HTTP/1.1\r\nhost:") as client:
        assert read_to_end(client).startswith(b"HTTP/1.1 408 ")


def test_a_head_in_pieces_is_no_slow_head(monkeypatch):
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 5)
    with running_server() as server, sending(server, b"GET /health/live HTTP/1.1\r\n") as client:
        client.sendall(b"host: x\r\nconnection: close\r\n\r\n")
        assert read_to_end(client).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("start", [b"", b"\r\n"])
def test_a_connection_that_asks_nothing_is_closed(monkeypatch, start):
    monkeypatch.setattr(http_server, "IDLE_CONNECTION_SECONDS", 1)
    with running_server() as server, sending(server, start) as client:
        assert read_to_end(client) == b""


def test_bodies_together_fill_no_more_than_their_share_of_the_memory():
    head = b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 2000\r\n\r\n"
    with running_server(max_request_bytes=2048) as server, ExitStack() as others:
        for _ in range(8):
            others.enter_context(sending(server, head + b"x" * 1999))
        with sending(server, head + b"x" * 1999) as ninth:
            assert read_to_end(ninth).startswith(b"HTTP/1.1 503 ")
        others.close()
        url, small = f"{server.url}/embed", {"inputs": "x" * 1800}
        wait_for("there is room", lambda: httpx.post(url, json=small).status_code == 200, within=10, pause=0.01)


async def test_what_was_answered_is_held_no_longer():
    async with served(max_request_bytes=2048) as client:
        for path, status in (("/v1/embeddings", 400), ("/embed", 422), ("/tokenize", 422)):
            for _ in range(12):
                assert (await client.post(path, content=b"x" * 2000)).status_code == status


async def test_a_body_whose_time_is_up_at_that_very_moment_does_not_disturb_the_end():
    async def receive() -> Message:
        return await asyncio.get_running_loop().create_future()

    bodies = body.Bodies(RequestLimits(max_sequence_length=64), max_seconds=0)
    reading = asyncio.create_task(bodies.read(receive))
    await asyncio.sleep(0)  # it begins to wait
    await asyncio.sleep(0)  # its time is up, which it has not heard of yet
    bodies.give_up()
    with pytest.raises(ShuttingDown):
        await reading
