"""Every failure's HTTP status, OpenAI type and code, in one table. What the body looks like is in `error_bodies.py`.

Transient failures are 408, 429, 500, 503 or 504: clients retry those. What must be changed first is another 4xx.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from embedplane_server.refusals import (
    EmptyInput,
    ForeignTokens,
    InputTooLong,
    NoTokenVectors,
    RequestRefused,
    TooManyInputs,
    TooManyTokens,
    UnknownTokenEncoding,
)
from embedplane_server.routes.error_bodies import Failure, body_for
from embedplane_server.scheduling.errors import EngineDrifted, EngineFailed, NeverFits, Overloaded, ShuttingDown


class RequestError(Exception):
    """A request that the routes themselves refuse; `param` names the field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class InvalidRequest(RequestError):  # noqa: N818 -- reads as the fact it states
    """Malformed JSON, a wrong type, a value that is not allowed."""


class Unauthorized(RequestError):  # noqa: N818 -- reads as the fact it states
    """No API key, or one that is not known."""


class NotOffered(RequestError):  # noqa: N818 -- reads as the fact it states
    """A route for models of another kind than the one that is served."""


class UnknownModel(RequestError):  # noqa: N818 -- reads as the fact it states
    """A model that is not served here."""


class VectorSpaceMismatch(RequestError):  # noqa: N818 -- reads as the fact it states
    """The client pins another vector space than the one served."""


class HeadersTooLarge(RequestError):  # noqa: N818 -- reads as the fact it states
    """More headers than any request needs."""


class BodyTooLarge(RequestError):  # noqa: N818 -- reads as the fact it states
    """More bytes than any request needs."""


class HeadTooSlow(RequestError):  # noqa: N818 -- reads as the fact it states
    """A request whose path and headers do not end."""


class BodyTooSlow(RequestError):  # noqa: N818 -- reads as the fact it states
    """A request whose body does not end."""


class TooMuchHeld(RequestError):  # noqa: N818 -- reads as the fact it states
    """Bodies of other requests fill the memory that there is for them."""


class TimeIsUp(RequestError):  # noqa: N818 -- reads as the fact it states
    """The request took longer than the server, or its client, gives it."""


class ClientLeft(RequestError):  # noqa: N818 -- reads as the fact it states
    """Nobody waits for the answer any more."""


class NotReady(RequestError):  # noqa: N818 -- reads as the fact it states
    """A probe's answer while the server does not want traffic."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a failure is told."""

    status: int
    reason: str
    """Value of the label `reason` of embedplane_rejected_total."""
    type: str = "invalid_request_error"
    code: str | None = None


VERDICTS: Mapping[type[Exception], Verdict] = {
    InvalidRequest: Verdict(400, "invalid_request"),
    EmptyInput: Verdict(400, "empty_input"),
    TooManyInputs: Verdict(400, "too_many_inputs"),
    InputTooLong: Verdict(400, "input_too_long", code="context_length_exceeded"),
    TooManyTokens: Verdict(400, "too_many_tokens", "max_tokens_per_request", "max_tokens_per_request"),
    ForeignTokens: Verdict(400, "foreign_tokens", code="foreign_tokens"),
    UnknownTokenEncoding: Verdict(400, "foreign_tokens", code="unknown_token_encoding"),
    RequestRefused: Verdict(400, "invalid_request"),
    NeverFits: Verdict(400, "never_fits", code="request_larger_than_queue"),
    Unauthorized: Verdict(401, "unauthorized", code="invalid_api_key"),
    NotOffered: Verdict(404, "not_offered", code="not_offered"),
    NoTokenVectors: Verdict(404, "not_offered", code="not_offered"),
    UnknownModel: Verdict(404, "unknown_model", code="model_not_found"),
    HeadTooSlow: Verdict(408, "head_too_slow", code="request_too_slow"),
    BodyTooSlow: Verdict(408, "body_too_slow", code="request_too_slow"),
    VectorSpaceMismatch: Verdict(412, "vector_space_mismatch", code="vector_space_mismatch"),
    BodyTooLarge: Verdict(413, "body_too_large", code="request_too_large"),
    HeadersTooLarge: Verdict(431, "headers_too_large", code="headers_too_large"),
    Overloaded: Verdict(429, "overloaded", "tokens", "rate_limit_exceeded"),
    ClientLeft: Verdict(499, "client_left", "client_error", "client_closed_request"),
    EngineFailed: Verdict(500, "engine_failed", "server_error", "engine_failed"),
    EngineDrifted: Verdict(503, "vector_drift", "server_error", "vector_drift"),
    ShuttingDown: Verdict(503, "shutting_down", "server_error", "service_unavailable"),
    TooMuchHeld: Verdict(503, "too_much_held", "server_error", "service_unavailable"),
    NotReady: Verdict(503, "not_ready", "server_error", "service_unavailable"),
    TimeIsUp: Verdict(504, "time_is_up", "server_error", "request_timeout"),
}
INTERNAL = Verdict(500, "internal", "server_error", "internal_error")
HTTP_CODES = {404: "unknown_url", 405: "method_not_supported"}


def verdict_on(error: Exception) -> Verdict:
    """Return how this failure is told; what the table does not know is our own fault."""
    if isinstance(error, HTTPException):
        kind = "invalid_request_error" if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
        return Verdict(error.status_code, "http", kind, HTTP_CODES.get(error.status_code))
    return next((VERDICTS[kind] for kind in type(error).__mro__ if kind in VERDICTS), INTERNAL)


def error_response(error: Exception, method: str, path: str) -> Response:
    """Return the answer to a failed request, in the form of the API family that the path belongs to."""
    verdict = verdict_on(error)
    message = _message(error, verdict, f"{method} {path}")
    failure = Failure(
        verdict.status, verdict.reason, message, verdict.type, getattr(error, "param", None), verdict.code
    )
    status, body = body_for(path, failure)
    return Response(
        orjson.dumps(body.model_dump()),
        status_code=status,
        headers=_headers(error, verdict),
        media_type="application/json",
    )


def _message(error: Exception, verdict: Verdict, request: str) -> str:
    if verdict is INTERNAL:
        return "The server had an error while processing your request. Its log has the details."
    if not isinstance(error, HTTPException):
        return str(error)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"Invalid URL ({request})"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"Not allowed: {request}. Perhaps you meant to use another HTTP method."
    return str(error.detail)


def _headers(error: Exception, verdict: Verdict) -> dict[str, str]:
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if isinstance(error, Overloaded):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_seconds)))
        headers["retry-after-ms"] = str(max(1, math.ceil(error.retry_after_seconds * 1000)))
    elif verdict.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = "1"
        headers["retry-after-ms"] = "1000"
    elif verdict.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return headers
