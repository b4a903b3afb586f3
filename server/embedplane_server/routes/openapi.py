"""The OpenAPI document of the served model: the table of `operations.py` with the names and numbers that it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedplane_server import __version__
from embedplane_server.model.description import Kind
from embedplane_server.options import OWN_TOKENS, Policy
from embedplane_server.prompts import INPUT_TYPES
from embedplane_server.routes.door import TRUNCATED_HEADER, VECTOR_SPACE_HEADER
from embedplane_server.routes.openai import TOKEN_ENCODING_HEADER
from embedplane_server.routes.operations import EMPTY, FAILURES, TEXT, Operation, Schema, operations_for
from embedplane_server.schemas import openai, ranking, tei
from embedplane_server.served import ServedModel

REQUEST_HEADERS = {
    "x-request-id": "Comes back in the answer; one is made up where there is none",
    VECTOR_SPACE_HEADER: "The space that the vectors have to be of; 412 when they would be of another",
    TOKEN_ENCODING_HEADER: "Whose token ids the input holds: `model` or `cl100k_base`",
}
RESPONSE_HEADERS = {
    "x-request-id": "The id of this request",
    VECTOR_SPACE_HEADER: "The space that the vectors are of",
    "x-embedplane-model-commit": "The commit of the model",
    "x-embedplane-self-check": "When golden texts last met their reference here, and the lowest cosine among them",
    "x-embedplane-tokens": "Real tokens of all inputs",
    TRUNCATED_HEADER: "How many inputs were cut; absent when none was",
    "x-embedplane-tokenization-ms": "Milliseconds of tokenisation",
    "x-embedplane-queue-ms": "Milliseconds until the first input was started",
    "x-embedplane-inference-ms": "Milliseconds from there to the last vector",
    "x-embedplane-total-ms": "Milliseconds in this server",
}


DESCRIPTIONS: Mapping[Kind, str] = {
    "embedding": "Text embeddings.",
    "reranker": "Scores of how well texts fit a query.",
    "classifier": "Labels of texts.",
}
IN_BARE_LISTS: Mapping[Kind, Sequence[type[BaseModel]]] = {
    "embedding": (tei.SimpleToken,),
    "reranker": (tei.SimpleToken, tei.Prediction, ranking.RankedText),
    "classifier": (tei.SimpleToken, tei.Prediction),
}
"""What stands in answers that are lists, not objects."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What this server takes where the interfaces themselves allow anything."""

    kind: Kind
    fields: Mapping[str, Sequence[Any]]
    headers: Mapping[str, Sequence[str]]
    token_ids: Mapping[str, int]
    """The largest id that a field takes, where it takes the model's own only."""


def choices(served: ServedModel, policy: Policy, vocabulary_size: int) -> Choices:
    """Return the choices that the served model leaves."""
    prompts, matryoshka = sorted(served.description.prompts), policy.matryoshka
    lengths: list[Any] = [*matryoshka.allowed, None]
    fields: dict[str, Sequence[Any]] = {
        "model": [*served.names, None],
        "prompt_name": [*prompts, None],
        "input_type": [*dict.fromkeys([*INPUT_TYPES, *prompts]), None],
        "dimensions": lengths,
        "output_dimension": lengths,
        "normalize": [True, None] if served.description.normalized else [True, False, None],
    }
    spaces = [matryoshka.space_name(length) for length in matryoshka.allowed]
    headers = {VECTOR_SPACE_HEADER: spaces, TOKEN_ENCODING_HEADER: [OWN_TOKENS, *policy.decoders]}
    own_only = ("inputs", "ids") if policy.decoders else ("input", "inputs", "ids")
    return Choices(served.description.kind, fields, headers, dict.fromkeys(own_only, vocabulary_size - 1))


def openapi_routes(choices: Choices, further: Sequence[str] = ()) -> list[Route]:
    """Return /openapi.json; `further` are paths that embed as `/v1/embeddings` does."""
    body = orjson.dumps(openapi_document(choices, further))

    async def document(_: Request) -> Response:
        return Response(body, media_type="application/json")

    return [Route("/openapi.json", document, methods=["GET"])]


def openapi_document(choices: Choices, further: Sequence[str] = ()) -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, dict[str, Any]] = {}
    operations = operations_for(choices.kind, further)
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, choices)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Embedplane", "version": __version__, "description": DESCRIPTIONS[choices.kind]},
        "paths": paths,
        "components": {
            "schemas": _schemas(operations, choices),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(operations: Sequence[Operation], choices: Choices) -> dict[str, Any]:
    modes: dict[type[BaseModel], JsonSchemaMode] = dict.fromkeys(IN_BARE_LISTS[choices.kind], "serialization")
    for operation in operations:
        modes.update({kind: "serialization" for kind in (operation.answer, operation.error) if isinstance(kind, type)})
        if operation.request is not None:
            modes[operation.request] = "validation"
    ordered = sorted(modes.items(), key=lambda pair: pair[0].__name__)
    _, schemas = models_json_schema(ordered, ref_template="#/components/schemas/{model}")
    found: dict[str, Any] = schemas["$defs"]
    for kind, mode in modes.items():
        if mode == "validation":
            _narrow(found[kind.__name__], choices)
    if cutting := found.get(tei.Cutting.__name__):
        _narrow(cutting, choices)
    return found


def _narrow(schema: dict[str, Any], choices: Choices) -> None:
    """Put the choices where a request's field allows anything of its type; a field that is required is never null."""
    for name in choices.fields.keys() & schema["properties"].keys():
        field, is_required = schema["properties"][name], name in schema.get("required", ())
        field.pop("anyOf", None)
        field.pop("type", None)
        field["enum"] = [value for value in choices.fields[name] if value is not None or not is_required]
    for name in choices.token_ids.keys() & schema["properties"].keys():
        _bound(schema["properties"][name], choices.token_ids[name])


def _bound(schema: dict[str, Any], last_token_id: int) -> None:
    """Say of every whole number in a field that holds token ids how large it may be."""
    if schema.get("type") == "integer":
        schema.pop("exclusiveMaximum", None)
        schema["maximum"] = last_token_id
    for inner in (*schema.get("anyOf", ()), *filter(None, [schema.get("items")])):
        _bound(inner, last_token_id)


def _operation(operation: Operation, choices: Choices) -> dict[str, Any]:
    answer: dict[str, Any] = (
        {"description": "Done"} if operation.answer is EMPTY else _content("Done", operation.answer, operation)
    )
    if operation.embeds:
        answer["headers"] = {name: {"description": text, "schema": TEXT} for name, text in RESPONSE_HEADERS.items()}
    responses = {"200": answer} if operation.is_offered else {}
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
    if parameters := _parameters(operation, choices):
        document["parameters"] = parameters
    return document


def _parameters(operation: Operation, choices: Choices) -> list[dict[str, Any]]:
    if "{name}" in operation.path:
        return [{"name": "name", "in": "path", "required": True, "schema": TEXT}]
    names = REQUEST_HEADERS if operation.embeds else {}
    if operation.request is not openai.EmbeddingRequest:
        names = {name: text for name, text in names.items() if name != TOKEN_ENCODING_HEADER}
    return [
        {
            "name": name,
            "in": "header",
            "description": text,
            "schema": {**TEXT, **({"enum": list(choices.headers[name])} if name in choices.headers else {})},
        }
        for name, text in names.items()
    ]


def _content(description: str, schema: Schema, operation: Operation | None = None) -> dict[str, Any]:
    media_type = operation.media_type if operation else "application/json"
    return {"description": description, "content": {media_type: {"schema": _schema(schema)}}}


def _schema(schema: Schema) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema.__name__}"} if isinstance(schema, type) else schema
