"""A client that costs as little CPU as it can: keep-alive sockets, bodies made beforehand, answers not decoded.

It shares the machine's cores with the servers, so whatever it took would be taken from them.
"""

import json
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hack.bench.serving.texts import Workload

STALLED_SECONDS = 300.0


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
        self.expected = 0
        self.socket = socket.create_connection(("127.0.0.1", address.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: Request) -> None:
        """Ask; what was received before is forgotten."""
        self.received.clear()
        self.expected = 0
        self.socket.sendall(request.data)

    def is_complete(self) -> bool:
        """Read what is there; tell whether it is the whole answer."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError(f"port {self.address.port} closed the connection within an answer")
        self.received += data
        if not self.expected:
            head, separator, _ = bytes(self.received[:4096]).partition(b"\r\n\r\n")
            if not separator:
                return False
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise ConnectionError(f"port {self.address.port} answered {bytes(self.received)[:600]!r}")
            self.expected = len(head) + 4 + int(fields[b"content-length"])
            self._closes = fields.get(b"connection") == b"close"
        return len(self.received) >= self.expected

    def body(self) -> bytes:
        """Return the answer's body."""
        return bytes(self.received).partition(b"\r\n\r\n")[2]

    def renewed(self) -> "Connection":
        """Return a connection for the next request: this one, unless the server closes it."""
        if not self._closes:
            return self
        self.socket.close()
        return Connection(self.address)


def requests_of(workload: Workload, address: Address) -> list[Request]:
    """Return a workload's requests as bytes."""
    return [
        Request(_post(address, {"model": address.model, "input": texts, "encoding_format": "base64"}), tokens)
        for texts, tokens in workload.requests()
    ]


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
    sent = done_tokens = 0
    for _ in range(in_flight):
        connection = Connection(address)
        connection.send(requests[sent % len(requests)])
        waiting.register(connection.socket, selectors.EVENT_READ, (connection, requests[sent % len(requests)].tokens))
        sent += 1
    while waiting.get_map():
        for key, _ in waiting.select(STALLED_SECONDS):
            connection, tokens = key.data
            if not connection.is_complete():
                continue
            done_tokens += tokens
            waiting.unregister(connection.socket)
            if time.perf_counter() >= deadline:
                connection.socket.close()
                continue
            connection = connection.renewed()
            request = requests[sent % len(requests)]
            connection.send(request)
            waiting.register(connection.socket, selectors.EVENT_READ, (connection, request.tokens))
            sent += 1
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
