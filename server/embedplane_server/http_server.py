"""The HTTP server around the application: listening, ages of connections, and the end of the process.

The only module that knows uvicorn. Its signal handling is replaced: a signal starts the drain, it does not stop
the server at once.
"""

import math
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from embedplane_server.app import Application
from embedplane_server.errors import invalid_settings
from embedplane_server.routes.edge import CONNECTION_OPENED
from embedplane_server.routes.errors import InvalidRequest, error_response
from embedplane_server.settings import ServeSettings

BACKLOG = 2048
IDLE_CONNECTION_SECONDS = 75
"""Longer than clients and proxies keep theirs, so that they close idle connections, not we under a new request."""


class AgingConnection(HttpToolsProtocol):
    """A connection that tells its requests when it was opened, and answers what is not HTTP like all else."""

    def connection_made(self, transport: object) -> None:
        """Note when it was."""
        super().connection_made(transport)  # type: ignore[arg-type]  # asyncio says BaseTransport, uvicorn Transport
        self._opened = time.monotonic()

    def on_message_begin(self) -> None:
        """Pass it on with each request."""
        super().on_message_begin()
        self.scope["state"][CONNECTION_OPENED] = self._opened

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP and end the connection."""
        answer = error_response(InvalidRequest(msg), "", "")
        answer.headers["connection"] = "close"
        head = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + head + b"\r\n" + bytes(answer.body))
        self.transport.close()


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

    async def on_tick(self, counter: int) -> bool:
        """Look ten times a second whether it is time to stop."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; a port that is taken is an error of the settings."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise invalid_settings(f"cannot listen on {host}:{port}: {error.strerror}. Choose another port.") from error


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
