"""The body that tells a failure, in the form of the API family that a path belongs to; OpenAI's unless known better.

The status is the same for all families, because it decides whether clients try again; only text-embeddings-inference
has 422 where the others have 400.
"""

from dataclasses import dataclass
from http import HTTPStatus

from pydantic import BaseModel

from embedplane_server.schemas.cohere import CohereError
from embedplane_server.schemas.ollama import OllamaError
from embedplane_server.schemas.openai import ErrorBody, ErrorDetail
from embedplane_server.schemas.tei import ErrorType, TeiError

OPENAI_FIELD = "'$.input'"
"""How refusals name the inputs."""
TEI_FIELDS = {"/rerank": "`texts`"}
"""What text-embeddings-inference calls them where it is not `inputs`."""
COHERE_FIELDS = {"/v1/rerank": "'documents'", "/v2/rerank": "'documents'"}
"""What Cohere calls them where it is not 'texts'."""
COHERE_PREFIXES = ("/v2/", "/v1/rerank")

TEI_PATHS = frozenset(
    {
        "/embed",
        "/embed_all",
        "/embed_sparse",
        "/similarity",
        "/tokenize",
        "/decode",
        "/predict",
        "/rerank",
        "/info",
        "/health",
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """What is told; see `errors.Verdict`."""

    status: int
    reason: str
    message: str
    type: str
    param: str | None
    code: str | None


Told = tuple[int, BaseModel]


def body_for(path: str, failure: Failure) -> Told:
    """Return status and body."""
    if path in TEI_PATHS:
        return _tei(failure, TEI_FIELDS.get(path, "`inputs`"))
    if path.startswith(COHERE_PREFIXES):
        return _cohere(failure, COHERE_FIELDS.get(path, "'texts'"))
    return _ollama(failure) if path.startswith("/api/") else _openai(failure)


def _openai(failure: Failure) -> Told:
    detail = ErrorDetail(message=failure.message, type=failure.type, param=failure.param, code=failure.code)
    return failure.status, ErrorBody(error=detail)


def _tei(failure: Failure, field: str) -> Told:
    status = failure.status
    if status == HTTPStatus.BAD_REQUEST and failure.reason != "empty_input":
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    return status, TeiError(error=failure.message.replace(OPENAI_FIELD, field), error_type=_tei_type(failure))


def _tei_type(failure: Failure) -> ErrorType:
    if failure.status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        return "Overloaded" if failure.status == HTTPStatus.TOO_MANY_REQUESTS else "Unhealthy"
    if failure.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "Backend"
    reasons: dict[str, ErrorType] = {"empty_input": "Empty", "foreign_tokens": "Tokenizer"}
    return reasons.get(failure.reason, "Validation")


def _cohere(failure: Failure, field: str) -> Told:
    return failure.status, CohereError(message=failure.message.replace(OPENAI_FIELD, field))


def _ollama(failure: Failure) -> Told:
    return failure.status, OllamaError(error=failure.message.replace(OPENAI_FIELD, "'input'"))
