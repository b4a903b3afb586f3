"""The OpenAPI document of all routes, made from the wire types and the table of operations below; served as it is.

Routes are plain ASGI handlers for speed, so nothing derives the document from them: a test holds the two together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedplane_server import __version__
from embedplane_server.routes.door import TRUNCATED_HEADER, VECTOR_SPACE_HEADER
from embedplane_server.routes.openai import TOKEN_ENCODING_HEADER
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


EMBEDDING_FAILURES = (400, 404, 412, 413, 429, 499, 500, 503, 504)
TEI_FAILURES = (400, 412, 413, 422, 429, 499, 500, 503, 504)
SPELLING_FAILURES = (400, 413, 422)


def _embeddings(path: str) -> Operation:
    summary = "Embed texts or token ids, as OpenAI does"
    return Operation("post", path, summary, openai.EmbeddingList, openai.EmbeddingRequest, statuses=EMBEDDING_FAILURES)


def _tei(path: str, summary: str, answer: Schema, request: type[BaseModel]) -> Operation:
    statuses = SPELLING_FAILURES if path in ("/tokenize", "/decode") else TEI_FAILURES
    return Operation("post", path, summary, answer, request, tei.TeiError, statuses)


def _not_offered(path: str) -> Operation:
    summary = "Not offered by this kind of model: always a failure"
    return Operation("post", path, summary, EMPTY, None, tei.TeiError, (404,))


OPERATIONS: Sequence[Operation] = (
    _embeddings("/v1/embeddings"),
    _embeddings("/embeddings"),
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
)

FAILURES = {
    400: "The request is wrong; the message says what to change",
    401: "No API key, or one that is not known (only where the server has keys)",
    404: "No such model or route",
    412: "The request pins another vector space",
    413: "The body is too large",
    422: "The request is wrong; the message says what to change",
    429: "Too much is waiting; `Retry-After` and `retry-after-ms` say when to come again",
    499: "The client left",
    500: "The engine failed, or the server",
    503: "The server does not want requests now; `Retry-After` says when to come again",
    504: "The request took longer than the server gives it",
}


REQUEST_HEADERS = {
    "x-request-id": "Comes back in the answer; one is made up where there is none",
    VECTOR_SPACE_HEADER: "The space that the vectors have to be of; 412 when they would be of another",
    TOKEN_ENCODING_HEADER: "Whose token ids the input holds: `model` or `cl100k_base`",
}
RESPONSE_HEADERS = {
    "x-request-id": "The id of this request",
    VECTOR_SPACE_HEADER: "The space that the vectors are of",
    "x-embedplane-model-commit": "The commit of the model",
    "x-embedplane-tokens": "Real tokens of all inputs",
    TRUNCATED_HEADER: "How many inputs were cut; absent when none was",
    "x-embedplane-tokenization-ms": "Milliseconds of tokenisation",
    "x-embedplane-queue-ms": "Milliseconds until the first input was started",
    "x-embedplane-inference-ms": "Milliseconds from there to the last vector",
    "x-embedplane-total-ms": "Milliseconds in this server",
}


def openapi_routes() -> list[Route]:
    """Return /openapi.json."""
    body = orjson.dumps(openapi_document())

    async def document(_: Request) -> Response:
        return Response(body, media_type="application/json")

    return [Route("/openapi.json", document, methods=["GET"])]


def openapi_document() -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Embedplane", "version": __version__, "description": "Text embeddings."},
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas() -> dict[str, Any]:
    modes: dict[type[BaseModel], JsonSchemaMode] = {tei.SimpleToken: "serialization"}
    for operation in OPERATIONS:
        modes.update({kind: "serialization" for kind in (operation.answer, operation.error) if isinstance(kind, type)})
        if operation.request is not None:
            modes[operation.request] = "validation"
    ordered = sorted(modes.items(), key=lambda pair: pair[0].__name__)
    _, schemas = models_json_schema(ordered, ref_template="#/components/schemas/{model}")
    return dict(schemas["$defs"])


def _operation(operation: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = (
        {"description": "Done"} if operation.answer is EMPTY else _content("Done", operation.answer, operation)
    )
    if operation.embeds:
        answer["headers"] = {name: {"description": text, "schema": TEXT} for name, text in RESPONSE_HEADERS.items()}
    responses = {} if operation.path in NOT_OFFERED else {"200": answer}
    own = set(operation.statuses) | (set() if operation.is_open else {401})
    responses.update({str(status): _content(FAILURES[status], operation.error) for status in sorted(own)})
    document: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": f"{operation.method}{operation.path.replace('/', '_').replace('{', '').replace('}', '')}",
        "responses": responses,
        "security": [] if operation.is_open else [{}, {"key": []}],
    }
    if operation.request is not None:
        document["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema(operation.request)}},
        }
    if parameters := _parameters(operation):
        document["parameters"] = parameters
    return document


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    if "{name}" in operation.path:
        return [{"name": "name", "in": "path", "required": True, "schema": TEXT}]
    names = REQUEST_HEADERS if operation.embeds else {}
    if operation.request is not openai.EmbeddingRequest:
        names = {name: text for name, text in names.items() if name != TOKEN_ENCODING_HEADER}
    return [{"name": name, "in": "header", "description": text, "schema": TEXT} for name, text in names.items()]


def _content(description: str, schema: Schema, operation: Operation | None = None) -> dict[str, Any]:
    media_type = operation.media_type if operation else "application/json"
    return {"description": description, "content": {media_type: {"schema": _schema(schema)}}}


def _schema(schema: Schema) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema.__name__}"} if isinstance(schema, type) else schema
