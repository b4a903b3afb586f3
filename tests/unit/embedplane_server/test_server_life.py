"""A real server on a real socket: connections, disconnects, time-outs, drain and signals."""

import asyncio
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from embedplane_server.errors import PermanentError
from embedplane_server.http_server import listen
from tests.support.fake_server import RunningServer, running_server
from tests.support.waiting import wait_for

BODY = json.dumps({"model": "minilm", "input": "some text"})


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running_server(max_queued_tokens=1000, drain_delay_seconds=0.5) as server:
        yield server


def soon(what: str, condition: Callable[[], object]) -> None:
    wait_for(what, condition, within=10, pause=0.005)


def ask(connection: http.client.HTTPConnection, path: str = "/v1/embeddings", body: str | None = BODY):
    connection.request("POST" if body else "GET", path, body=body)
    answer = connection.getresponse()
    answer.read()
    return answer


def connect(server: RunningServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)


def is_closed(connection: http.client.HTTPConnection) -> bool:
    """Tell whether the server has closed the connection."""
    if connection.sock is None:
        return True
    connection.sock.settimeout(5)
    return connection.sock.recv(1) == b""


def test_a_connection_serves_many_requests(server):
    connection = connect(server)
    for _ in range(5):
        assert ask(connection).status == 200
    assert connection.sock is not None
    connection.close()


def test_an_old_connection_is_closed_after_an_answer():
    with running_server(max_connection_seconds=0.05) as server:
        connection = connect(server)
        answers = [ask(connection)]
        began = time.monotonic()
        while answers[-1].headers["connection"] != "close" and time.monotonic() - began < 10:
            assert answers[-1].status == 200
            answers.append(ask(connection))
        assert answers[-1].status == 200
        assert is_closed(connection)


def test_overload_closes_the_connection(server):
    server.engine.hold()
    with httpx.Client() as client, socket.create_connection(("127.0.0.1", server.port)) as held:
        held.sendall(raw_request({"input": ["w " * 50] * 19}))
        soon("the queue is full", lambda: server.queued_inputs > 10)
        answer = client.post(f"{server.url}/v1/embeddings", json={"input": ["w " * 50] * 9})
        assert answer.status_code == 429
        assert answer.headers["connection"] == "close"


def raw_request(body: dict[str, object]) -> bytes:
    content = json.dumps(body).encode()
    return b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(content), content)


def test_a_client_that_leaves_frees_its_work(server):
    server.engine.hold()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(raw_request({"input": ["w " * 30] * 20}))
        server.engine.wait_until_busy()
        soon("its inputs wait", lambda: server.queued_inputs > 0)
    soon("its inputs are gone", lambda: server.queued_inputs == 0)
    server.engine.release()
    metrics = httpx.get(f"{server.url}/metrics").text
    assert 'embedplane_rejected_total{model="minilm",reason="client_left"' in metrics
    assert len(server.engine.batches) == 1


def test_a_request_that_takes_too_long_gets_504_and_frees_its_work():
    with running_server(max_request_seconds=0.2) as server:
        server.engine.hold()
        answer = httpx.post(f"{server.url}/v1/embeddings", json={"input": ["w " * 30] * 20})
        assert answer.status_code == 504
        assert answer.json()["error"]["code"] == "request_timeout"
        assert server.queued_inputs == 0


def test_a_body_that_is_too_large_is_answered_although_the_client_still_sends(server):
    answer = httpx.post(f"{server.url}/v1/embeddings", content=b"x" * (17 * 1024 * 1024))
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"


def test_a_client_that_leaves_in_the_middle_of_its_request_does_no_harm(server):
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
    soon("it is noticed", lambda: 'reason="client_left"' in httpx.get(f"{server.url}/metrics").text)


def test_probes_answer_while_the_queue_is_full(server):
    server.engine.hold()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(raw_request({"input": ["w " * 50] * 19}))
        soon("the queue is full", lambda: server.queued_inputs > 10)
        assert httpx.get(f"{server.url}/health/live").status_code == 200
        assert httpx.get(f"{server.url}/health/ready").status_code == 200


def test_a_broken_engine_is_neither_live_nor_ready(server):
    server.engine.fails_on = set()
    for _ in range(3):
        assert httpx.post(f"{server.url}/v1/embeddings", json={"input": "x"}).status_code == 500
    soon("it is not live", lambda: httpx.get(f"{server.url}/health/live").status_code == 503)
    answer = httpx.get(f"{server.url}/health/ready")
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "Not now: the last 3 batches failed."


def test_a_draining_server_is_unready_serves_on_and_closes_its_connections(server):
    kept = connect(server)
    assert ask(kept).status == 200
    server.server.begin_draining()
    answer = ask(kept)
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    fresh = connect(server)
    assert ask(fresh, "/health/ready", None).status == 503
    assert ask(fresh, "/health/live", None).status == 200
    assert ask(fresh).status == 200
    server.thread.join(10)
    assert not server.thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        connect(server).connect()


async def test_a_drain_finishes_what_is_queued(server):
    server.engine.hold()
    async with httpx.AsyncClient(timeout=20) as client:
        requests = [
            asyncio.create_task(client.post(f"{server.url}/v1/embeddings", json={"input": ["w " * 40] * 3}))
            for _ in range(5)
        ]
        await asyncio.to_thread(soon, "all wait", lambda: server.queued_inputs >= 9)
        server.server.begin_draining()
        await asyncio.to_thread(soon, "the drain delay is over", lambda: server.server.should_exit)
        server.engine.release()
        assert {answer.status_code for answer in await asyncio.gather(*requests)} == {200}
    await asyncio.to_thread(server.thread.join, 10)
    assert not server.thread.is_alive()


@pytest.mark.parametrize(("number", "least_seconds"), [(signal.SIGTERM, 0.9), (signal.SIGINT, 0.0)])
def test_a_signal_ends_the_process_with_exit_code_0(number, least_seconds):
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.support.fake_server", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        url = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{url}/health/ready").status_code == 200
        began = time.monotonic()
        process.send_signal(number)
        if least_seconds:
            soon("it is unready", lambda: httpx.get(f"{url}/health/ready").status_code == 503)
            assert httpx.post(f"{url}/v1/embeddings", json={"input": "x"}).status_code == 200
        assert process.wait(10) == 0
        assert time.monotonic() - began >= least_seconds


def test_a_port_that_is_taken_is_named(server):
    with pytest.raises(PermanentError, match=f"cannot listen on 127.0.0.1:{server.port}: Address already in use"):
        listen("127.0.0.1", server.port)


def test_a_request_that_is_not_http_gets_an_answer_in_the_same_form(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"nonsense\r\n\r\n")
        answer = b""
        while part := client.recv(4096):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["type"] == "invalid_request_error"
