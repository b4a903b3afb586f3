"""The HTTP server around the application: listening, and the end of the process.

With `http_connection.py` and `http_express.py` the only module that knows uvicorn. Its signal handling is replaced: a
signal starts the drain, it does not stop the server at once.
"""

import math
import os
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from embedplane_server.app import Application
from embedplane_server.errors import invalid_settings
from embedplane_server.http_connection import AgingConnection
from embedplane_server.http_express import express_connections
from embedplane_server.settings import EVERY_ADDRESS, ServeSettings

BACKLOG = 2048
IDLE_CONNECTION_SECONDS = 75
"""Longer than clients and proxies keep theirs, so that they close idle connections, not we under a new request."""


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
        http=AgingConnection if application.express is None else express_connections(application.express),
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
