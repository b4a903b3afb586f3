"""The table of all operations: what each takes and answers. `openapi.py` makes the document of it.

Routes are plain ASGI handlers for speed, so nothing derives the table from them: a test holds the two together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from embedplane_server.model.description import Kind
from embedplane_server.routes.offers import is_offered
from embedplane_server.schemas import cohere, info, ollama, openai, ranking, tei

VECTORS = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
SCORES = {"type": "array", "items": {"type": "number"}}
TEXTS = {"type": "array", "items": {"type": "string"}}
PREDICTIONS = {"type": "array", "items": {"$ref": "#/components/schemas/Prediction"}}
RANKS = {"type": "array", "items": {"$ref": "#/components/schemas/RankedText"}}
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
    is_offered: bool = True
    """Whether a model of this kind has it at all."""

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
    statuses: tuple[int, ...] = SPELLING_FAILURES if path in ("/tokenize", "/decode") else TEI_FAILURES
    if path in ("/embed_all", "/rerank"):
        statuses += (404,)
    return Operation("post", path, summary, answer, request, tei.TeiError, statuses)


def _cohere_rerank(path: str) -> Operation:
    summary = "Rank documents by how well they fit a query, as Cohere does"
    answer, request = ranking.CohereRerankAnswer, ranking.CohereRerankRequest
    return Operation("post", path, summary, answer, request, cohere.CohereError, EMBEDDING_FAILURES)


def operations_for(kind: Kind, further: Sequence[str] = ()) -> list[Operation]:
    """Return all operations; those that a model of this kind does not have are always a failure.

    `further` are paths that embed as `/v1/embeddings` does, if the model does.
    """
    own = [operation if is_offered(operation.path, kind) else _not_offered(operation) for operation in OPERATIONS]
    return [*own, *map(embeddings_operation, further if kind == "embedding" else ())]


def _not_offered(operation: Operation) -> Operation:
    summary = "Not offered by this kind of model: always a failure"
    return replace(operation, summary=summary, answer=EMPTY, request=None, statuses=(404,), is_offered=False)


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
    _tei(
        "/embed_all",
        "The vectors of the tokens of each input, as they are before pooling",
        {"type": "array", "items": VECTORS},
        tei.EmbedAllRequest,
    ),
    _tei("/embed_sparse", "Sparse vectors", EMPTY, tei.EmbedRequest),
    _tei(
        "/predict",
        "How well each label fits a text, or a pair of texts",
        {"anyOf": [PREDICTIONS, {"type": "array", "items": PREDICTIONS}]},
        tei.PredictRequest,
    ),
    _tei(
        "/rerank",
        "Rank texts by how well they fit a query",
        {"anyOf": [RANKS, {"$ref": "#/components/schemas/CohereRerankAnswer"}]},
        ranking.RerankRequest,
    ),
    _cohere_rerank("/v1/rerank"),
    _cohere_rerank("/v2/rerank"),
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
    Operation("get", "/openapi.json", "All routes in detail, as OpenAPI 3.1", {"type": "object"}),
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
