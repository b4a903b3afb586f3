"""Around every request: ids, headers, failures as answers, counts, and when a connection is closed.

Plain ASGI, because it runs for each request; the routes that most requests ask for are called from here without a
router and middlewares between, which cost more than the rest of the way through Python.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from embedplane_server.keys import ApiKeys
from embedplane_server.lifecycle import Lifecycle
from embedplane_server.metrics import Metrics
from embedplane_server.retirement import Retirement
from embedplane_server.routes.authorization import check_key
from embedplane_server.routes.connection import CLOSE, Connection, Header, connection_of
from embedplane_server.routes.errors import INTERNAL, error_response, verdict_on
from embedplane_server.routes.traced import note_refusal
from embedplane_server.self_check import Checked

Handler = Callable[[Request], Awaitable[Response]]

logger = logging.getLogger(__name__)

REQUEST_ID = b"x-request-id"
PRESENTABLE = re.compile(rb"[\x21-\x7e]{1,128}")
CLOSING_STATUSES = frozenset({408, 413, 429, 503})
VECTOR_SPACE = b"x-embedplane-vector-space"
SELF_CHECK = b"x-embedplane-self-check"
"""When golden texts were last compared with their reference, and how near they were."""


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """What the edge needs to know."""

    vector_space: str
    """The name that every answer carries which says no other."""
    commit: str
    max_connection_seconds: float
    known_paths: Collection[str]
    """The values of the label `route`; any other path is counted as `other`."""
    read_as: Mapping[str, str] = field(default_factory=dict)
    """Paths that are read as others."""
    shortcuts: Mapping[tuple[str, str], Handler] = field(default_factory=dict)
    """Handlers by method and path that are called without the router."""
    keys: ApiKeys | None = None
    """None: anybody may ask."""
    last_check: Callable[[], Checked | None] = lambda: None
    retirement: Retirement = field(default_factory=lambda: Retirement(None))


class Edge:
    """The outermost ASGI layer."""

    def __init__(self, app: ASGIApp, settings: EdgeSettings, lifecycle: Lifecycle, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._random = Random()  # noqa: S311 -- ids need not be secret, and asking the system costs 0.1 ms
        self._vector_space = (VECTOR_SPACE, settings.vector_space.encode("ascii"))
        self._commit = (b"x-embedplane-model-commit", settings.commit.encode("ascii"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if (meant := self.meant(scope["path"])) != scope["path"]:
            scope = {**scope, "path": meant}
        request_id = self.request_id(scope["headers"])
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = self.headers(status, message.get("headers", ()), request_id, connection_of(scope))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._serve(scope, receive, send_with_headers)
        except Exception as error:  # whatever went wrong, the client gets an answer
            note_refusal(scope, self.note(error, request_id))
            if not status:
                await error_response(error, scope["method"], scope["path"])(scope, receive, send_with_headers)
        self.count(scope["path"], status)

    def meant(self, path: str) -> str:
        """Return the path as which another one is read."""
        return self._settings.read_as.get(path, path)

    def check_key(self, path: str, headers: Iterable[Header]) -> None:
        """Raise `Unauthorized` unless whoever asks may."""
        if self._settings.keys is not None:
            check_key(self._settings.keys, path, headers)

    def headers(
        self, status: int, headers: Iterable[Header], request_id: bytes, connection: Connection
    ) -> list[Header]:
        """Return the headers of an answer with those that every answer has."""
        full = [*headers, (REQUEST_ID, request_id), self._commit]
        if (checked := self._settings.last_check()) is not None:
            full.append((SELF_CHECK, checked.header))
        if not any(name == VECTOR_SPACE for name, _ in full):
            full.append(self._vector_space)
        if self._is_to_close(connection, status):
            full.append(CLOSE)
        return full

    def note(self, error: Exception, request_id: bytes) -> str:
        """Count a failure, log it where it is our own, and return the reason as which it counts."""
        verdict = verdict_on(error)
        self._metrics.rejected(verdict.reason)
        if verdict is INTERNAL:
            logger.error("request %s failed", request_id.decode("ascii"), exc_info=error)
        return verdict.reason

    def count(self, path: str, status: int) -> None:
        """Count an answer."""
        self._metrics.answered(path if path in self._settings.known_paths else "other", status)

    def request_id(self, headers: Iterable[Header]) -> bytes:
        """Return the client's own id for the request if it is presentable, else a new one."""
        for name, value in headers:
            if name == REQUEST_ID and PRESENTABLE.fullmatch(value):
                return bytes(value)
        return b"%032x" % self._random.getrandbits(128)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.check_key(scope["path"], scope["headers"])
        handler = self._settings.shortcuts.get((scope["method"], scope["path"]))
        if handler is None:
            await self._app(scope, receive, send)
        else:
            response = await handler(Request(scope, receive, send))
            await response(scope, receive, send)

    def _is_to_close(self, connection: Connection, status: int) -> bool:
        """Tell whether the connection ends with this answer: balancers see new connections only."""
        is_old = connection.seconds >= self._settings.max_connection_seconds
        is_leaving = self._lifecycle.is_draining or self._settings.retirement.is_retiring
        return is_old or status in CLOSING_STATUSES or is_leaving
