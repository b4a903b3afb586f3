"""One connection of a client: uvicorn's protocol within our limits of size and time, and with our answers.

With `http_server.py` and `http_express.py` the only module that knows uvicorn.
"""

import asyncio
from collections.abc import Iterable
from typing import cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from embedplane_server.routes.connection import CONNECTION, Connection, Header
from embedplane_server.routes.errors import HeadersTooLarge, HeadTooSlow, InvalidRequest, RequestError, error_response

MAX_HEAD_BYTES = 65_536
HEAD_SECONDS = 30
"""So long the path and headers of a request may take once they have begun."""
UNREAD_SECONDS = 10
"""So long a server that ends waits for a client that reads nothing of its answer."""


class AgingConnection(HttpToolsProtocol):
    """A connection that tells its requests when it was opened and when it is lost, and answers what is not HTTP.

    The head of a request, its path and headers, is kept in memory whole, so its size is limited here.
    """

    def connection_made(self, transport: object) -> None:
        """Note when it was."""
        super().connection_made(transport)  # type: ignore[arg-type]  # asyncio says BaseTransport, uvicorn Transport
        self._connection = Connection()
        self._head_bytes = 0
        self._unfinished_bytes = 0
        self._in_head = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._limit_idleness()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget its head, and tell whoever works for it."""
        self._end_head()
        super().connection_lost(exc)
        self._connection.left()

    def data_received(self, data: bytes) -> None:
        """Refuse a head that does not end."""
        was_in_head = self._in_head
        super().data_received(data)
        self._unfinished_bytes = self._unfinished_bytes + len(data) if was_in_head and self._in_head else 0
        if self._unfinished_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("")
        if self._in_head and self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._refuse_slow_head)
        if not self._in_head and self._is_answered():
            self._limit_idleness()

    def shutdown(self) -> None:
        """End once the current answer was read, or nothing of it has been for a while."""
        super().shutdown()
        self.loop.call_later(UNREAD_SECONDS, self._abandon_unread, self._unread())

    def on_message_begin(self) -> None:
        """Pass it on with each request."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self.scope["state"][CONNECTION] = self._connection

    def on_headers_complete(self) -> None:
        """Note that the rest is body."""
        self._end_head()
        self._head_bytes = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise HeadersTooLarge("")  # the parser gives up, and uvicorn asks for the answer to what is not HTTP
        super().on_headers_complete()
        AnswerTransport(self.cycle)

    def on_message_complete(self) -> None:
        """Read on, unless it is for the next request: else nobody would notice that the client leaves."""
        super().on_message_complete()
        if not self.pipeline:
            self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, or too much of it, and end the connection."""
        error: RequestError = InvalidRequest(msg)
        if max(self._head_bytes, self._unfinished_bytes) > MAX_HEAD_BYTES:
            error = HeadersTooLarge(f"The path and headers of a request may have at most {MAX_HEAD_BYTES} bytes.")
        self._refuse(error)

    def _refuse_slow_head(self) -> None:
        if not self.transport.is_closing():
            self._refuse(HeadTooSlow(f"The path and headers did not arrive within {HEAD_SECONDS:g} seconds."))

    def _refuse(self, error: RequestError) -> None:
        answer = error_response(error, "", "")
        answer.headers["connection"] = "close"
        self.transport.write(written(answer.status_code, answer.raw_headers, bytes(answer.body)))
        self.transport.close()

    def _limit_idleness(self) -> None:
        # uvicorn waits for ever for a first request, and after bytes that are of none (an empty line).
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _unread(self) -> int | None:
        """Return how many bytes wait for the client; None while its answer is being made."""
        return self.transport.get_write_buffer_size() if self._is_answered() else None

    def _abandon_unread(self, before: int | None) -> None:
        if self not in self.connections:
            return
        unread = self._unread()
        if unread is not None and unread == before:
            self.transport.abort()
        else:
            self.loop.call_later(UNREAD_SECONDS, self._abandon_unread, unread)

    def _end_head(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def written(status: int, headers: Iterable[Header], body: bytes) -> bytes:
    """Return an answer as it goes over the wire."""
    head = b"".join([b"%b: %b\r\n" % header for header in headers])
    return b"%b%b\r\n%b" % (STATUS_LINE[status], head, body)


class AnswerTransport:
    """Where one answer is written: its head waits for its body, because each write is a call of the system's own."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self._answered = cycle.on_response
        self._head: bytes | None = None
        cycle.transport = cast("asyncio.Transport", self)  # it asks for no more than there is here
        cycle.on_response = self._complete

    def write(self, data: bytes) -> None:
        """Keep the head; write all else, the first of it with the head."""
        if self._head is None and not self._cycle.waiting_for_100_continue:
            self._head = data
        elif self._head:
            self._transport.writelines((self._head, data))
            self._head = b""
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Tell whether the connection ends."""
        return self._transport.is_closing()

    def close(self) -> None:
        """End the connection."""
        self._flush()
        self._transport.close()

    def _complete(self) -> None:
        self._flush()
        self._answered()

    def _flush(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""
