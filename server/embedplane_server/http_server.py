"""The HTTP server around the application: listening, ages of connections, and the end of the process.

The only module that knows uvicorn. Its signal handling is replaced: a signal starts the drain, it does not stop
the server at once.
"""

import asyncio
import math
import os
import signal
import socket
import time
from collections.abc import Callable
from http import HTTPStatus
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from embedplane_server.app import Application
from embedplane_server.errors import invalid_settings
from embedplane_server.routes.edge import CONNECTION_OPENED
from embedplane_server.routes.errors import HeadersTooLarge, HeadTooSlow, InvalidRequest, RequestError, error_response
from embedplane_server.settings import EVERY_ADDRESS, ServeSettings

BACKLOG = 2048
MAX_HEAD_BYTES = 65_536
HEAD_SECONDS = 30
"""So long the path and headers of a request may take once they have begun."""
UNREAD_SECONDS = 10
"""So long a server that ends waits for a client that reads nothing of its answer."""
IDLE_CONNECTION_SECONDS = 75
"""Longer than clients and proxies keep theirs, so that they close idle connections, not we under a new request."""


class AgingConnection(HttpToolsProtocol):
    """A connection that tells its requests when it was opened, and answers what is not HTTP like all else.

    The head of a request, its path and headers, is kept in memory whole, so its size is limited here.
    """

    def connection_made(self, transport: object) -> None:
        """Note when it was."""
        super().connection_made(transport)  # type: ignore[arg-type]  # asyncio says BaseTransport, uvicorn Transport
        self._opened = time.monotonic()
        self._head_bytes = 0
        self._unfinished_bytes = 0
        self._in_head = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._limit_idleness()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget its head."""
        self._end_head()
        super().connection_lost(exc)

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
        self.scope["state"][CONNECTION_OPENED] = self._opened

    def on_url(self, url: bytes) -> None:
        """Count it."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count it."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the rest is body."""
        self._end_head()
        super().on_headers_complete()

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
        status = HTTPStatus(answer.status_code)
        head = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
        first = b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode("ascii"))
        self.transport.write(first + head + b"\r\n" + bytes(answer.body))
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

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise HeadersTooLarge("")  # the parser gives up, and uvicorn asks for the answer to what is not HTTP


class DrainingServer(uvicorn.Server):
    """Serves until a signal; then is unready for a while, finishes what it has, and ends."""

    def __init__(
        self, config: uvicorn.Config, application: Application, drain_seconds: float, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._application = application
        self._drain_seconds = drain_seconds
        self._on_ready = on_ready
        self._stop_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell."""
        await super().startup(sockets)
        self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; Ctrl-C does not wait, and neither does a second signal."""
        if sig == signal.SIGINT or self._stop_at is not None:
            self.force_exit = self.should_exit
            self.should_exit = True
        self.begin_draining()

    def begin_draining(self) -> None:
        """Become unready now and stop later: until then endpoints and balancers learn of it."""
        self._application.lifecycle.begin_draining()
        if self._stop_at is None:
            self._stop_at = time.monotonic() + self._drain_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what was asked; what is still being sent is not waited for."""
        self._application.stop_reading()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Look ten times a second whether it is time to stop; a server whose engine has drifted ends by itself."""
        if self._stop_at is None and self._application.lifecycle.drift is not None:
            self.begin_draining()
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, of both families for `::`; a port that is taken is an error of the settings."""
    both = host == EVERY_ADDRESS and socket.has_dualstack_ipv6()
    if host == EVERY_ADDRESS and not both:
        host = "0.0.0.0"  # this machine has IPv4 only
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        # Python adds the address to the system's words.
        cause = os.strerror(error.errno) if error.errno else str(error)
        raise invalid_settings(f"cannot listen on {host}:{port}: {cause}. Choose another port.") from error


def http_server(
    application: Application, settings: ServeSettings, on_ready: Callable[[], None] = lambda: None
) -> DrainingServer:
    """Return the server of an application; `run(sockets=[...])` serves until the process is told to end."""
    config = uvicorn.Config(
        application.asgi,
        loop="uvloop",
        http=AgingConnection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=IDLE_CONNECTION_SECONDS,
        timeout_graceful_shutdown=math.ceil(settings.max_request_seconds),
    )
    return DrainingServer(config, application, settings.drain_delay_seconds, on_ready)
