"""A client that costs as little CPU as it can: keep-alive sockets, bodies made beforehand, answers not decoded.

It shares the machine's cores with the servers, so whatever it took would be taken from them.
"""

import itertools
import json
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hack.bench.serving.workload import Workload

STALLED_SECONDS = 300.0
LENGTH, CLOSES = b"\r\ncontent-length: ", b"\r\nconnection: close\r\n"


@dataclass(frozen=True)
class Address:
    """Where a server listens and what it answers."""

    port: int
    path: str
    model: str


@dataclass(frozen=True)
class Request:
    """One request as bytes, and the tokens of its texts."""

    data: bytes
    tokens: int


class Connection:
    """A keep-alive connection and the answer that it is receiving."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.received = bytearray()
        self.expected = self.tokens = 0
        self.closes = False
        self.socket = socket.create_connection(("127.0.0.1", address.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: Request) -> None:
        """Ask; what was received before is forgotten."""
        self.received.clear()
        self.expected = 0
        self.tokens = request.tokens
        self.socket.sendall(request.data)

    def is_complete(self) -> bool:
        """Read what is there; tell whether it is the whole answer."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise self._ended("closed the connection within an answer")
        self.received += data
        if not self.expected:
            end = self.received.find(b"\r\n\r\n") + 2
            if end < 2:
                return False
            head = self.received[:end].lower()
            if not head.startswith(b"http/1.1 200 "):
                raise self._ended(f"answered {bytes(self.received)[:600]!r}")
            start = head.index(LENGTH) + len(LENGTH)
            self.expected = end + 2 + int(head[start : head.index(b"\r", start)])
            self.closes = CLOSES in head
        return len(self.received) >= self.expected

    def _ended(self, why: str) -> ConnectionError:
        self.socket.close()
        return ConnectionError(f"port {self.address.port} {why}")

    def body(self) -> bytes:
        """Return the answer's body."""
        return bytes(self.received).partition(b"\r\n\r\n")[2]

    def renewed(self) -> "Connection":
        """Return a connection for the next request: this one, unless the server closes it."""
        if not self.closes:
            return self
        self.socket.close()
        return Connection(self.address)


def requests_of(workload: Workload, address: Address) -> list[Request]:
    """Return a workload's requests as bytes."""
    return [request_of(address, texts, tokens) for texts, tokens in workload.requests()]


def request_of(address: Address, texts: Sequence[str], tokens: int = 0, encoding: str = "base64") -> Request:
    """Return one request as bytes."""
    return Request(_post(address, {"model": address.model, "input": texts, "encoding_format": encoding}), tokens)


@dataclass(frozen=True)
class Done:
    """What was answered, and in which time."""

    tokens: int
    seconds: float


def run(address: Address, requests: Sequence[Request], in_flight: int, seconds: float) -> Done:
    """Keep so many requests in flight until a time is over, then finish what was begun.

    At least one request goes over each connection, however slow the server is.
    """
    started = time.perf_counter()
    deadline = started + seconds
    waiting = selectors.DefaultSelector()
    upcoming = itertools.cycle(requests)
    done_tokens = 0
    for _ in range(in_flight):
        connection = Connection(address)
        connection.send(next(upcoming))
        waiting.register(connection.socket, selectors.EVENT_READ, connection)
    while waiting.get_map():
        for key, _ in waiting.select(STALLED_SECONDS):
            connection = key.data
            if not connection.is_complete():
                continue
            done_tokens += connection.tokens
            if time.perf_counter() >= deadline:
                waiting.unregister(connection.socket)
                connection.socket.close()
                continue
            if connection.closes:
                waiting.unregister(connection.socket)
                connection = connection.renewed()
                waiting.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(next(upcoming))
    return Done(done_tokens, time.perf_counter() - started)


def answers(address: Address, requests: Sequence[Request]) -> list[bytes]:
    """Return the bodies that answer these requests, one after the other."""
    connection, bodies = Connection(address), []
    for request in requests:
        connection.send(request)
        while not connection.is_complete():
            pass
        bodies.append(connection.body())
        connection = connection.renewed()
    connection.socket.close()
    return bodies


def lone_milliseconds(address: Address, requests: Sequence[Request]) -> list[float]:
    """Return how long each request takes while there is no other."""
    connection, times = Connection(address), []
    for request in requests:
        started = time.perf_counter()
        connection.send(request)
        while not connection.is_complete():
            pass
        times.append(1000 * (time.perf_counter() - started))
        connection = connection.renewed()
    connection.socket.close()
    return times


def _post(address: Address, document: dict[str, object]) -> bytes:
    body = json.dumps(document, ensure_ascii=False).encode()
    head = (
        f"POST {address.path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    return head.encode() + b"\r\n\r\n" + body
