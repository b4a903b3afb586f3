"""The short way for the most frequent request: one short text for OpenAI's route, after a head that came before.

It decides nothing of its own: keys, limits, prompts, counts, headers and failures are those of the ordinary way
(`edge.py`, `door.py`, `embedding.py`). It leaves out what only costs: a task, ASGI's messages, a router and layers of
timeouts. Beside the engine, which leaves Python no caches, these were a sixth of what the cores can do.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pydantic import ValidationError
from starlette.types import Scope

from embedplane_server.embedding import SHORT_CHARACTERS, Admitted
from embedplane_server.routes.authorization import with_keys
from embedplane_server.routes.body import client_left, time_is_up
from embedplane_server.routes.connection import Connection, Header
from embedplane_server.routes.door import Door
from embedplane_server.routes.edge import REQUEST_ID, Edge
from embedplane_server.routes.errors import Unauthorized, error_response
from embedplane_server.routes.openai import EMBEDDINGS_PATHS, options_of
from embedplane_server.scheduling.work import Embedded
from embedplane_server.schemas.openai import EmbeddingRequest, single_embedding_response

MOST_BYTES = SHORT_CHARACTERS
"""Of the body: no text has more characters than its request has bytes."""
OWN_HEADERS = b"x-embedplane-"
MEANINGFUL = frozenset({REQUEST_ID, b"expect", b"origin", b"transfer-encoding", b"upgrade"})
"""Requests with these headers, or with `OWN_HEADERS`, go the ordinary way."""

Reply = Callable[[int, Iterable[Header], bytes], None]
"""Write an answer: status, headers, body."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a request by its path and headers."""

    path: str
    keys: list[Header]
    """The headers that may hold an API key, which is checked each time."""


class Express:
    """Serves such requests, told by the HTTP server which head they have."""

    def __init__(self, edge: Edge, door: Door) -> None:
        self.edge = edge
        self.door = door
        limits, prompts = door.embedder.limits, door.embedder.policy.prompts
        self._most_bytes = min(MOST_BYTES, limits.max_bytes)
        self._most_characters = SHORT_CHARACTERS - prompts.longest

    def head_of(self, scope: Scope) -> Head | None:
        """Return what is known of all requests with this head, but for the length; None: they go the ordinary way."""
        headers: list[Header] = scope["headers"]
        path = self.edge.meant(scope["path"])
        if scope["method"] != "POST" or scope["http_version"] != "1.1" or path not in EMBEDDINGS_PATHS:
            return None
        if any(name in MEANINGFUL or name.startswith(OWN_HEADERS) for name, _ in headers):
            return None
        try:
            self.edge.check_key(path, headers)
        except Unauthorized:
            return None  # nobody is remembered who may not ask
        return Head(path, with_keys(headers))

    def exchange(self, head: Head, body: bytes, connection: Connection, reply: Reply) -> "Exchange | None":
        """Return what serves a request, with one call of `reply`, once it is begun; None: it goes the ordinary way."""
        started = time.perf_counter()
        if len(body) > self._most_bytes:
            return None
        try:
            request = EmbeddingRequest.model_validate_json(body)
        except ValidationError:
            return None  # what is wrong with it is told the ordinary way
        text = _only_text(request)
        if text is None or len(text) > self._most_characters:
            return None
        return Exchange(self, head, request, text, connection, reply, started)


class Exchange:
    """A request from its text to its answer."""

    __slots__ = (
        "_admitted",
        "_connection",
        "_door",
        "_edge",
        "_head",
        "_limit",
        "_reply",
        "_request",
        "_started",
        "_text",
    )

    def __init__(
        self,
        express: Express,
        head: Head,
        request: EmbeddingRequest,
        text: str,
        connection: Connection,
        reply: Reply,
        started: float,
    ) -> None:
        self._edge = express.edge
        self._door = express.door
        self._head = head
        self._request = request
        self._text = text
        self._connection = connection
        self._reply = reply
        self._started = started

    def begin(self) -> None:
        """Have the text embedded, or refuse it."""
        request, door = self._request, self._door
        try:
            self._edge.check_key(self._head.path, self._head.keys)
            if request.model is not None:
                door.check_name(request.model)
            door.metrics.tei.asked(1, batch=isinstance(request.input, list))
            self._admitted: Admitted = door.embedder.admit_text(self._text, options_of(request))
        except Exception as error:  # whatever went wrong, the client gets an answer
            self._fail(error)
            return
        future = self._admitted.work.future
        self._limit = future.get_loop().call_later(door.max_seconds, self._expire)
        self._connection.when_left(self._leave)
        future.add_done_callback(self._finish)

    def _finish(self, future: asyncio.Future[Embedded]) -> None:
        if future.cancelled():
            return  # the time was up, or the client has left
        self._release()
        try:
            status, headers, body = self._answer(future.result())
        except Exception as error:
            self._fail(error)
        else:
            self._send(status, headers, body)

    def _answer(self, done: Embedded) -> tuple[int, list[Header], bytes]:
        request, door = self._request, self._door
        embedding = door.embedder.embedding(self._admitted, done)
        door.metrics.tei.answered(embedding.lengths, batch=isinstance(request.input, list))
        model = request.model or door.served.names[0]
        body = single_embedding_response(embedding.vectors, model, embedding.tokens, request.encoding_format)
        headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
            *door.tell(embedding, time.perf_counter() - self._started),
        ]
        return 200, headers, body

    def _leave(self) -> None:
        self._give_up(client_left())

    def _expire(self) -> None:
        self._give_up(time_is_up(self._door.max_seconds))

    def _give_up(self, error: Exception) -> None:
        if self._admitted.work.future.done():
            return  # its answer is on its way
        self._release()
        self._door.embedder.abandon(self._admitted)
        self._fail(error)

    def _release(self) -> None:
        self._limit.cancel()
        self._connection.when_left(None)

    def _fail(self, error: Exception) -> None:
        answer = error_response(error, "POST", self._head.path)
        self._send(answer.status_code, answer.raw_headers, bytes(answer.body), error)

    def _send(self, status: int, headers: Iterable[Header], body: bytes, error: Exception | None = None) -> None:
        request_id = self._edge.request_id(())
        if error is not None:
            self._edge.note(error, request_id)
        self._reply(status, self._edge.headers(status, headers, request_id, self._connection), body)
        self._edge.count(self._head.path, status)


def _only_text(request: EmbeddingRequest) -> str | None:
    """Return the text of a request that has just one and nothing else."""
    inputs = request.input
    if isinstance(inputs, str):
        return inputs
    first = inputs[0] if len(inputs) == 1 else None
    return first if isinstance(first, str) else None
