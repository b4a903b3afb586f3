"""An HTTP client that sends bytes as they are over one connection, and tells what two answers have in common."""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass

EACH_ITS_OWN = re.compile("date|x-request-id|x-embedplane-(queue|inference|tokenization|total)-ms")
"""Headers that no two answers share."""
END = b"\r\n\r\n"


@dataclass
class Answer:
    """An answer as it came over the wire."""

    status: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> tuple[str, dict[str, str], bytes]:
        """What two answers to the same request have in common."""
        headers = {name: "" if EACH_ITS_OWN.fullmatch(name) else value for name, value in self.headers.items()}
        return self.status, headers, self.body


class Client:
    """A connection over which bytes are sent as they are."""

    def __init__(self, port: int, receive_bytes: int = 0) -> None:
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", port))
        self._received = b""

    def ask(self, request: bytes) -> Answer:
        self.socket.sendall(request)
        return self.answer()

    def answer(self) -> Answer:
        head = self._until(lambda: self._received.find(END) + len(END) if END in self._received else 0)
        status, *lines = head.decode("latin-1").rstrip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers["content-length"])
        body = self._until(lambda: length if len(self._received) >= length else 0) if length else b""
        return Answer(status, headers, body)

    def is_closed(self) -> bool:
        return not self._received and self.socket.recv(1) == b""

    def _until(self, end: Callable[[], int]) -> bytes:
        while not (size := end()):
            part = self.socket.recv(1 << 16)
            assert part, f"the connection was closed after {self._received!r}"
            self._received += part
        found, self._received = self._received[:size], self._received[size:]
        return found
