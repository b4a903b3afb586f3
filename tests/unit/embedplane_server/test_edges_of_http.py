"""What every answer carries, which pages may read it, and how large a request's head and nesting may be."""

import http.client
import json
import socket
from contextlib import closing

import pytest

from tests.support.fake_server import RunningServer, running_server
from tests.unit.embedplane_server.serving import served

PAGE = {"origin": "https://page.example"}


async def test_answers_say_where_the_time_went_and_what_was_served(client):
    answer = await client.post("/v1/embeddings", json={"input": ["a short text", "x"]})
    assert answer.headers["x-embedplane-model-commit"] == "c0ffee"
    assert answer.headers["x-embedplane-tokens"] == "8"
    parts = [float(answer.headers[f"x-embedplane-{name}-ms"]) for name in ("tokenization", "queue", "inference")]
    assert all(part >= 0 for part in parts)
    assert sum(parts) <= float(answer.headers["x-embedplane-total-ms"]) + 0.1


async def test_failures_name_the_commit_too(client):
    assert (await client.post("/v1/embeddings", json={})).headers["x-embedplane-model-commit"] == "c0ffee"


async def test_pages_of_other_origins_get_no_leave_by_default(client):
    answer = await client.post("/v1/embeddings", json={"input": "x"}, headers=PAGE)
    assert "access-control-allow-origin" not in answer.headers
    preflight = {**PAGE, "access-control-request-method": "POST"}
    assert (await client.options("/v1/embeddings", headers=preflight)).status_code == 405


@pytest.mark.parametrize("origins", [["https://page.example", "https://other.example"], ["*"]])
async def test_named_origins_get_leave(tmp_path, origins):
    (tmp_path / "keys").write_text("first", encoding="utf-8")
    async with served(cors_origins=origins, api_keys_files=[tmp_path / "keys"]) as client:
        asked = {
            **PAGE,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,x-embedplane-vector-space",
        }
        preflight = await client.options("/v1/embeddings", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] in ("*", PAGE["origin"])
        assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
        refused = await client.post("/v1/embeddings", json={"input": "x"}, headers=PAGE)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] in ("*", PAGE["origin"])
        answer = await client.post("/v1/embeddings", json={"input": "x"}, headers={**PAGE, "api-key": "first"})
        assert answer.status_code == 200
        assert "x-embedplane-vector-space" in answer.headers["access-control-expose-headers"]


async def test_origins_that_are_not_named_get_none():
    async with served(cors_origins=["https://other.example"]) as client:
        answer = await client.post("/v1/embeddings", json={"input": "x"}, headers=PAGE)
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/embeddings", "/embed", "/v2/embed", "/api/embed"])
async def test_json_that_is_nested_too_deep_is_not_parsed(client, path):
    deep = (
        b'{"input": "x", "inputs": "x", "texts": ["x"], "model": "minilm", "other": ' + b"[" * 300 + b"]" * 300 + b"}"
    )
    answer = await client.post(path, content=deep)
    assert answer.status_code in (400, 422)
    assert "recursion limit exceeded" in answer.text


def connect(server: RunningServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)


def test_a_head_may_be_long_but_not_without_end():
    with running_server() as server, closing(connect(server)) as connection:
        for _ in range(3):
            connection.request("POST", "/v1/embeddings", json.dumps({"input": "x"}), {"x-long": "a" * 60_000})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
        connection.request("GET", "/v1/models", headers={f"x-{number}": "a" * 1000 for number in range(70)})
        answer = connection.getresponse()
        assert answer.status == 431
        assert json.loads(answer.read())["error"]["code"] == "headers_too_large"


def exchange(client: socket.socket, request: bytes) -> bytes:
    client.sendall(request)
    return client.recv(1 << 16)


def test_an_answer_is_sent_at_once_and_whole():
    body = b'{"input": "x"}'
    request = b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    with running_server() as server, socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        for _ in range(50):
            head, _, content = exchange(client, request).partition(b"\r\n\r\n")
            assert b"content-length: %d" % len(content) in head
            assert json.loads(content)["object"] == "list"


def test_an_answer_without_a_body_is_sent_too_and_the_connection_lives():
    with running_server() as server, socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        for _ in range(2):
            answer = exchange(client, b"HEAD /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b"\r\n\r\n")


def test_a_client_that_asks_whether_to_send_its_body_is_told_at_once():
    body = b'{"input": "x"}'
    head = b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n"
    with running_server() as server, socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        assert exchange(client, head % len(body)) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert exchange(client, body).startswith(b"HTTP/1.1 200 ")


def test_requests_that_come_together_are_answered_in_their_order():
    requests = [b"GET /health/live HTTP/1.1\r\nhost: x\r\nx-request-id: %d\r\n\r\n" % number for number in range(5)]
    with running_server() as server, socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"".join(requests))
        received = b""
        while received.count(b"HTTP/1.1 200 ") < 5 or not received.endswith(b"}"):
            received += client.recv(1 << 16)
    ids = [line for line in received.split(b"\r\n") if line.startswith(b"x-request-id")]
    assert ids == [b"x-request-id: %d" % number for number in range(5)]


@pytest.mark.parametrize("head", [b"GET /v1/models HTTP/1.1\r\nx: ", b"GET /"])
def test_a_head_that_does_not_end_is_cut_off(head):
    with running_server() as server, socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(head)
        received = b""
        try:
            for _ in range(400):
                client.sendall(b"a" * 10_000)
            received = client.recv(4096)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused while it was still sending
        else:
            assert received.startswith(b"HTTP/1.1 431 ")


def test_a_large_body_after_a_small_head_is_no_long_head():
    with running_server() as server, closing(connect(server)) as connection:
        texts = ["w " * 40] * 2000
        for _ in range(2):
            connection.request("POST", "/v1/embeddings", json.dumps({"input": texts}))
            answer = connection.getresponse()
            assert len(json.loads(answer.read())["data"]) == 2000
