"""The table of all operations: what each takes and answers. `openapi.py` makes the document of it.

Routes are plain ASGI handlers for speed, so nothing derives the table from them: a test holds the two together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from embedplane_server.routes.tei import NOT_OFFERED
from embedplane_server.schemas import cohere, info, ollama, openai, tei

VECTORS = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
SCORES = {"type": "array", "items": {"type": "number"}}
TEXTS = {"type": "array", "items": {"type": "string"}}
STATUS = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}
TEXT = {"type": "string"}
EMPTY: dict[str, Any] = {}

Schema = type[BaseModel] | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    summary: str
    answer: Schema
    request: type[BaseModel] | None = None
    error: type[BaseModel] = openai.ErrorBody
    statuses: tuple[int, ...] = ()
    """Failures of its own, besides those that every operation has."""
    media_type: str = "application/json"
    is_open: bool = False
    """Whether it needs no API key."""

    @property
    def embeds(self) -> bool:
        return 412 in self.statuses


EMBEDDING_FAILURES = (400, 404, 408, 412, 413, 429, 499, 500, 503, 504)
TEI_FAILURES = (400, 408, 412, 413, 422, 429, 499, 500, 503, 504)
SPELLING_FAILURES = (400, 408, 413, 422, 499, 503, 504)


def embeddings_operation(path: str) -> Operation:
    """Return what a path does that embeds as OpenAI does."""
    summary = "Embed texts or token ids, as OpenAI does"
    return Operation("post", path, summary, openai.EmbeddingList, openai.EmbeddingRequest, statuses=EMBEDDING_FAILURES)


def _tei(path: str, summary: str, answer: Schema, request: type[BaseModel]) -> Operation:
    statuses = SPELLING_FAILURES if path in ("/tokenize", "/decode") else TEI_FAILURES
    return Operation("post", path, summary, answer, request, tei.TeiError, statuses)


def _not_offered(path: str) -> Operation:
    summary = "Not offered by this kind of model: always a failure"
    return Operation("post", path, summary, EMPTY, None, tei.TeiError, (404,))


OPERATIONS: Sequence[Operation] = (
    embeddings_operation("/v1/embeddings"),
    embeddings_operation("/embeddings"),
    Operation("get", "/v1/models", "The names that requests may ask for", openai.ServedModelList),
    Operation("get", "/models", "The names that requests may ask for", openai.ServedModelList),
    Operation("get", "/v1/models/{name}", "One of them", openai.ServedModelCard, statuses=(404,)),
    Operation("get", "/models/{name}", "One of them", openai.ServedModelCard, statuses=(404,)),
    _tei("/embed", "Embed texts or token ids, as text-embeddings-inference does", VECTORS, tei.EmbedRequest),
    _tei("/similarity", "How near one text is to others, by the model's own function", SCORES, tei.SimilarityRequest),
    _tei(
        "/tokenize",
        "The tokens of texts",
        {"type": "array", "items": {"type": "array", "items": {"$ref": "#/components/schemas/SimpleToken"}}},
        tei.TokenizeRequest,
    ),
    _tei("/decode", "The texts of token ids", TEXTS, tei.DecodeRequest),
    *map(_not_offered, NOT_OFFERED),
    Operation(
        "post",
        "/v2/embed",
        "Embed texts, as Cohere does",
        cohere.CohereEmbedAnswer,
        cohere.CohereEmbedRequest,
        cohere.CohereError,
        EMBEDDING_FAILURES,
    ),
    Operation(
        "post",
        "/api/embed",
        "Embed texts, as Ollama does",
        ollama.OllamaEmbedAnswer,
        ollama.OllamaEmbedRequest,
        ollama.OllamaError,
        EMBEDDING_FAILURES,
    ),
    Operation(
        "get", "/api/tags", "The served names, as Ollama lists models", ollama.OllamaTags, error=ollama.OllamaError
    ),
    Operation("get", "/api/version", "The version of this server", ollama.OllamaVersion, error=ollama.OllamaError),
    Operation("get", "/info", "The model, its vector space and the limits", info.Info, error=tei.TeiError),
    Operation(
        "get", "/health", "Whether requests are wanted", EMPTY, error=tei.TeiError, statuses=(503,), is_open=True
    ),
    Operation("get", "/health/live", "Whether the process works", STATUS, statuses=(503,), is_open=True),
    Operation("get", "/health/ready", "Whether requests are wanted", STATUS, statuses=(503,), is_open=True),
    Operation("get", "/metrics", "Metrics for Prometheus", TEXT, media_type="text/plain", is_open=True),
    Operation("get", "/openapi.json", "This document", {"type": "object"}),
    Operation(
        "get",
        "/",
        "A page for people; without the model where a key is needed and none is sent",
        TEXT,
        statuses=(401,),
        media_type="text/html",
        is_open=True,
    ),
)

FAILURES = {
    400: "The request is wrong; the message says what to change",
    401: "No API key, or one that is not known (only where the server has keys)",
    404: "No such model or route",
    408: "The body did not arrive in time",
    412: "The request pins another vector space",
    413: "The body is too large",
    422: "The request is wrong; the message says what to change",
    429: "Too much is waiting; `Retry-After` and `retry-after-ms` say when to come again",
    499: "The client left",
    500: "The engine failed, or the server",
    503: "The server does not want requests now; `Retry-After` says when to come again",
    504: "The request took longer than the server, or its `x-embedplane-timeout-ms`, gives it",
}
