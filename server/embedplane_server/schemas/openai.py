"""Wire types of the OpenAI interface.

Requests are validated by pydantic straight from the body's bytes; answers are written as bytes without a model in
between, because vectors are large.
"""

import asyncio
import base64
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from embedplane_server.engines.base import Vectors
from embedplane_server.schemas.truncate import Truncate
from embedplane_server.schemas.vectors import ROWS_AT_ONCE
from embedplane_server.schemas.whole import Whole, whole

EncodingFormat = Literal["float", "base64"]
Input = str | list[str] | list[int] | list[list[int]]
FilledText = Annotated[str, Field(min_length=1)]
TokenId = Annotated[int, Field(ge=0)]
TokenIds = Annotated[list[TokenId], Field(min_length=1)]
FilledInput = (
    FilledText
    | Annotated[list[FilledText], Field(min_length=1)]
    | TokenIds
    | Annotated[list[TokenIds], Field(min_length=1)]
)
"""What is described to clients; what is empty is told apart from what is of a wrong type, so `Input` has it too."""
INPUT_FORMS = "a string, a list of strings, a list of token ids or a list of lists of token ids"


def input_of_any_form(value: object) -> object:
    """Validate `Input`; refuse at the first element that is wrong: inputs may be large."""
    if isinstance(value, str) or (isinstance(value, list) and _all_of(str, value)):
        return value
    if isinstance(value, list) and isinstance(value[0], list):
        return [_token_ids(item) for item in value]
    return _token_ids(value)


def _token_ids(value: object) -> list[object]:
    if isinstance(value, list):
        if _all_of(int, value):
            return value
        numbers = [whole(item) for item in value if type(item) in (int, float)]
        if len(numbers) == len(value) and _all_of(int, numbers):
            return numbers
    raise ValueError(f"expected {INPUT_FORMS}")


def _all_of(kind: type, items: list[object]) -> bool:
    return all(type(item) is kind for item in items)  # `isinstance` would take true and false for numbers


class EmbeddingRequest(BaseModel):
    """Body of `POST /v1/embeddings`. Fields that are not named here are ignored, as `user` is.

    `input_type`, `prompt_name` and `truncate` are not OpenAI's: with its client they go into `extra_body`.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    input: Annotated[Input, PlainValidator(input_of_any_form, json_schema_input_type=FilledInput)]
    model: str | None = None
    """None: the one model that this server has."""
    encoding_format: EncodingFormat = "float"
    dimensions: Whole | None = None
    """Length of the vectors; None: the served default. Others than `/info` lists are refused."""
    user: str | None = None
    input_type: str | None = None
    """What the texts are for: `query`, `document` and the names that other servers have for these."""
    prompt_name: str | None = None
    """One of the model's prompts by its name. None: the model's default prompt, if it has one."""
    truncate: Truncate = None


class Embedding(BaseModel):
    """One vector; a text is base64 of its little-endian float32 numbers."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Real tokens, special ones included, padding not."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """Answer to an `EmbeddingRequest`; a description only, `embedding_response` writes it."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


class ErrorDetail(BaseModel):
    """What went wrong, in OpenAI's form."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """Body of every answer that is not a success."""

    error: ErrorDetail


class ServedModelCard(BaseModel):
    """One entry of `/v1/models`."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "embedplane"
    vector_space: str
    dimensions: int
    max_sequence_length: int
    similarity: str | None


class ServedModelList(BaseModel):
    """Body of `/v1/models`."""

    object: Literal["list"] = "list"
    data: list[ServedModelCard]


async def embedding_response(vectors: Vectors, model: str, tokens: int, encoding_format: EncodingFormat) -> bytes:
    """Return the body that answers an `EmbeddingRequest`."""
    parts = []
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        if start:
            await asyncio.sleep(0)
        parts.append(_entries(vectors[start : start + ROWS_AT_ONCE], start, encoding_format))
    return _list_of(parts, model, tokens)


def single_embedding_response(vector: Vectors, model: str, tokens: int, encoding_format: EncodingFormat) -> bytes:
    """Return the body that answers a request of one text, of a vector of shape `[1, dimensions]`."""
    return _list_of([_entries(vector, 0, encoding_format)], model, tokens)


def _list_of(parts: Sequence[bytes], model: str, tokens: int) -> bytes:
    tail = {"model": model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    return b'{"object":"list","data":[' + b",".join(parts) + b"]," + orjson.dumps(tail)[1:]


def _entries(vectors: Vectors, start: int, encoding_format: EncodingFormat) -> bytes:
    embeddings: Sequence[str] | Sequence[Vectors] = as_base64(vectors) if encoding_format == "base64" else list(vectors)
    entries = [
        {"object": "embedding", "index": index, "embedding": embedding}
        for index, embedding in enumerate(embeddings, start)
    ]
    return orjson.dumps(entries, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]


def as_base64(vectors: Vectors) -> list[str]:
    """Return the little-endian float32 numbers of each vector as base64."""
    little_endian = np.ascontiguousarray(vectors, dtype="<f4")
    return [base64.b64encode(row.data).decode("ascii") for row in little_endian]
