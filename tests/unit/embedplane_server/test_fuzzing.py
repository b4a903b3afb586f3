"""Whatever is sent, the answer is one that the OpenAPI document names, in the form of its API family, never a 5xx."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from embedplane_server.builders.manifest import EngineManifest
from embedplane_server.model.description import Kind
from embedplane_server.policies import serving_policy
from embedplane_server.routes.openapi import choices, openapi_document
from embedplane_server.schemas.cohere import CohereError
from embedplane_server.schemas.ollama import OllamaError
from embedplane_server.schemas.openai import ErrorBody
from embedplane_server.schemas.tei import TeiError
from embedplane_server.served import ServedModel
from tests.support.fake_engine import (
    MANIFESTS,
    NAMES,
    SPACE,
    VOCABULARY,
    FakeEngine,
    FakeTokenizer,
    serve_settings,
)
from tests.unit.embedplane_server.serving import client_of

BODIES: dict[str, dict[str, Any]] = {
    "/v1/embeddings": {
        "input": ["x"], "model": "minilm", "encoding_format": "base64", "dimensions": 8, "user": "u",
        "input_type": "query", "prompt_name": None, "truncate": True,
    },
    "/embed": {
        "inputs": "x", "truncate": True, "truncation_direction": "left", "prompt_name": None, "normalize": True,
        "dimensions": 8, "input_type": "query",
    },
    "/embed_all": {"inputs": "x", "truncate": True, "truncation_direction": "left", "prompt_name": None},
    "/similarity": {"inputs": {"source_sentence": "x", "sentences": ["y"]}, "parameters": {"truncate": True}},
    "/tokenize": {"inputs": ["x"], "add_special_tokens": True, "prompt_name": None},
    "/decode": {"ids": [[2000]], "skip_special_tokens": True},
    "/v2/embed": {
        "texts": ["x"], "model": "minilm", "input_type": "search_query", "embedding_types": ["float"],
        "truncate": "END", "output_dimension": 8, "images": None, "inputs": None, "max_tokens": None,
    },
    "/api/embed": {
        "model": "minilm", "input": "x", "truncate": True, "dimensions": 8, "options": {}, "keep_alive": "5m"
    },
    "/rerank": {
        "query": "x", "texts": ["y"], "raw_scores": False, "return_text": True, "truncate": True,
        "truncation_direction": "left", "top_n": 1,
    },
    "/v2/rerank": {
        "query": "x", "documents": ["y", {"text": "z"}], "model": "minilm", "top_n": 1, "return_documents": True,
        "max_tokens_per_doc": 2,
    },
    "/predict": {"inputs": [["x", "y"]], "raw_scores": True, "truncate": True, "truncation_direction": "left"},
}  # fmt: skip
BODIES["/embeddings"] = BODIES["/v1/embeddings"]
BODIES["/v1/rerank"] = BODIES["/v2/rerank"]
ERRORS = {
    **dict.fromkeys(["/v2/embed", "/v1/rerank", "/v2/rerank"], CohereError),
    **dict.fromkeys(["/v1/embeddings", "/embeddings"], ErrorBody),
    "/api/embed": OllamaError,
}


def told_by(manifest: EngineManifest) -> dict[str, Any]:
    policy = serving_policy(serve_settings(), manifest.description)
    return openapi_document(choices(ServedModel(NAMES[0], NAMES, manifest), policy, VOCABULARY))["paths"]


TOLD = {kind: told_by(manifest) for kind, manifest in MANIFESTS.items()}
SCORING = ("/predict", "/rerank", "/v1/rerank", "/v2/rerank")
POSTED = [
    (kind, path)
    for kind, paths in TOLD.items()
    for path in sorted(paths)
    if "post" in paths[path] and (kind == "embedding" or path in SCORING)
]

scalars = (
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(max_size=20)
    | some.sampled_from(["", "x", "query", "NONE", "\x00", "w " * 200, 8, 8.0, 1e308, 2**64, 10**40])
)  # fmt: skip
token_ids = some.lists(some.integers(-1, VOCABULARY), max_size=4).map(lambda ids: [101, *ids, 102])
values = some.recursive(
    scalars | token_ids,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
headers = some.dictionaries(
    some.sampled_from(["x-embedplane-vector-space", "x-embedplane-token-encoding", "x-request-id", "content-type"]),
    some.sampled_from(["", "model", "cl100k_base", SPACE, f"{SPACE};dimensions=8", "application/json", "é".encode()])
    | some.text("abc123;=- ", max_size=12),
    max_size=2,
)


def mostly(usual: some.SearchStrategy[Any], *others: some.SearchStrategy[Any]) -> some.SearchStrategy[Any]:
    """Draw from the first in three of four cases."""
    return some.sampled_from([usual] * 3 * len(others) + list(others)).flatmap(lambda chosen: chosen)


def bodies(path: str) -> some.SearchStrategy[bytes]:
    """Return bodies that are nearly right, JSON of any kind, and anything at all."""
    right = BODIES.get(path, {})
    changes = some.dictionaries(some.sampled_from(sorted(right)), values, max_size=2) if right else some.just({})
    nearly = changes.map(lambda changed: {**right, **changed})
    documents = mostly(nearly, values).map(lambda document: json.dumps(document).encode())
    cut = some.tuples(documents, some.integers(0, 60), some.binary(max_size=3)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
    )
    return mostly(documents, cut, some.binary(max_size=40))


@pytest.fixture
async def served(kind: Kind) -> AsyncIterator[httpx.AsyncClient]:
    manifest = MANIFESTS[kind]
    async with client_of(FakeEngine(manifest.description.dimensions), FakeTokenizer(), manifest) as client:
        yield client


@pytest.mark.parametrize(("kind", "path"), POSTED)
@given(data=some.data())
@settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_any_body_gets_an_answer_that_is_told_of(served: httpx.AsyncClient, kind, path, data):
    content, sent = data.draw(bodies(path)), data.draw(headers)
    answer = await served.post(path, content=content, headers=sent)
    told = TOLD[kind][path]["post"]["responses"]
    assert answer.status_code < 500, answer.text
    assert str(answer.status_code) in told, answer.text
    if answer.is_success:
        assert answer.json() is not None
    else:
        error = ERRORS.get(path, TeiError)
        assert error.model_validate(answer.json(), extra="forbid").model_dump() == answer.json()
