"""A span for each request, by OpenTelemetry's conventions for HTTP servers, where requests are traced at all."""

import time
from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from embedplane_server.embedding import Embedding
from embedplane_server.routes.health import PROBE_PATHS
from embedplane_server.tracing.request_trace import REFUSAL, TRACE, Attributes, Trace, Tracing

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
PROPAGATED = ("traceparent", "tracestate")
ANSWERED = {"x-request-id": "embedplane.request_id", "x-embedplane-vector-space": "embedplane.vector_space"}
"""Headers of every answer, and the attributes that they become."""
TEXT_LENGTH = 1024
"""Characters that an attribute keeps of what a client wrote."""


def with_traces(app: ASGIApp, tracing: Tracing | None, model: str, known_paths: Collection[str]) -> ASGIApp:
    """Return the application, its requests traced if somebody wants that; probes and scrapes never are."""
    return app if tracing is None else Traced(app, tracing, model, known_paths)


class Traced:
    """The ASGI layer around the edge."""

    def __init__(self, app: ASGIApp, tracing: Tracing, model: str, known_paths: Collection[str]) -> None:
        self._app = app
        self._tracing = tracing
        self._model = model
        self._known_paths = known_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        trace = self._begin(scope)
        if trace is None:
            await self._app(scope, receive, send)
            return
        scope[TRACE] = trace
        status = 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                trace.note(_of_answer(status, Headers(raw=list(message["headers"]))))
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            trace.end(str(status) if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None)

    def _begin(self, scope: Scope) -> Trace | None:
        if scope["type"] != "http" or scope["path"] in PROBE_PATHS:
            return None
        headers = Headers(scope=scope)
        method = scope["method"] if scope["method"] in METHODS else "HTTP"
        route = scope["path"] if scope["path"] in self._known_paths else None
        attributes = {**_of_request(scope, headers), "embedplane.model": self._model}
        if route is not None:
            attributes["http.route"] = route
        context = {name: headers[name] for name in PROPAGATED if name in headers}
        return self._tracing.begin(f"{method} {route}" if route else method, attributes, context)


def note_embedding(trace: Trace, done: Embedding, begun: int) -> None:
    """Tell what a request embedded since `begun` (nanoseconds since 1970), and where the time went.

    The stages' durations are exact. Tokenisation comes first and inference last; what is between them and the queue,
    such as the way from the engine's thread, shows as gaps.
    """
    trace.note(
        {
            "embedplane.inputs": len(done.lengths),
            "embedplane.tokens": done.tokens,
            "embedplane.truncated_inputs": done.truncated,
            "embedplane.dimensions": int(done.vectors.shape[1]),
        }
    )
    ended = time.time_ns()
    started = ended - _nanoseconds(done.inference_seconds)
    trace.stage("tokenization", begun, begun + _nanoseconds(done.tokenization_seconds))
    trace.stage("queue", started - _nanoseconds(done.queue_seconds), started)
    trace.stage("inference", started, ended)


def note_refusal(scope: Scope, reason: str) -> None:
    """Tell why a request got no answer of the kind it asked for."""
    trace: Trace | None = scope.get(TRACE)
    if trace is not None:
        trace.note({REFUSAL: reason})


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _of_request(scope: Scope, headers: Headers) -> dict[str, str | int]:
    method = scope["method"]
    attributes: dict[str, str | int] = {
        "http.request.method": method if method in METHODS else "_OTHER",
        "url.path": scope["path"][:TEXT_LENGTH],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
        **_of_host(headers.get("host", "")),
    }
    if method not in METHODS:
        attributes["http.request.method_original"] = method
    if scope.get("client"):
        attributes["client.address"] = scope["client"][0]
    if "user-agent" in headers:
        attributes["user_agent.original"] = headers["user-agent"][:TEXT_LENGTH]
    return attributes


def _of_host(host: str) -> Attributes:
    try:
        url = urlsplit(f"//{host}")
        name, port = url.hostname, url.port
    except ValueError:  # what the client wrote is no host
        return {}
    named: dict[str, str | int] = {"server.address": name[:TEXT_LENGTH]} if name else {}
    return {**named, **({"server.port": port} if port else {})}


def _of_answer(status: int, headers: Headers) -> Attributes:
    named = {attribute: headers[name] for name, attribute in ANSWERED.items() if name in headers}
    return {"http.response.status_code": status, **named}
