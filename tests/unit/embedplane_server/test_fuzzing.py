"""Whatever is sent, the answer is one that the OpenAPI document names, and never a fault of our own."""

import json
import random
from typing import Any

import pytest

from embedplane_server.policies import serving_policy
from embedplane_server.routes.openapi import choices, openapi_document
from embedplane_server.served import ServedModel
from tests.support.fake_engine import NAMES, engine_manifest, serve_settings

BODIES: dict[str, dict[str, Any]] = {
    "/v1/embeddings": {
        "input": ["x"], "model": "minilm", "encoding_format": "base64", "dimensions": 8, "user": "u",
        "input_type": "query", "prompt_name": None, "truncate": True,
    },
    "/embed": {
        "inputs": "x", "truncate": True, "truncation_direction": "left", "prompt_name": None, "normalize": True,
        "dimensions": 8,
    },
    "/similarity": {"inputs": {"source_sentence": "x", "sentences": ["y"]}, "parameters": {"truncate": True}},
    "/tokenize": {"inputs": ["x"], "add_special_tokens": True, "prompt_name": None},
    "/decode": {"ids": [[2000]], "skip_special_tokens": True},
    "/v2/embed": {
        "texts": ["x"], "model": "minilm", "input_type": "search_query", "embedding_types": ["float"],
        "truncate": "END", "output_dimension": 8,
    },
    "/api/embed": {"model": "minilm", "input": "x", "truncate": True, "dimensions": 8, "options": {}},
}  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 8, 2**31, 2**64, 10**40, 0.5, 1e308, "", "x", "NONE", "\x00", "\ud800", "\U0001f600",
    "w " * 200, [], [""], ["x", 1], [1], [-1], [101, 2000, 102], [[101, 2000, 102]], [[]], [[[1]]],
    [None], {}, {"x": []},
]  # fmt: skip
DESCRIPTION = engine_manifest().description
PATHS = openapi_document(
    choices(ServedModel(NAMES[0], NAMES, engine_manifest()), serving_policy(serve_settings(), DESCRIPTION))
)["paths"]


@pytest.mark.parametrize("path", BODIES)
async def test_any_value_anywhere_gets_an_answer_that_is_told_of(client, path):
    chance = random.Random(path)
    told = {int(status) for status in PATHS[path]["post"]["responses"]}
    for _ in range(300):
        body = dict(BODIES[path])
        for field in chance.choices(sorted(body), k=chance.choice([1, 1, 2, 3])):
            body[field] = chance.choice(VALUES)
        if chance.random() < 0.1:
            del body[chance.choice(sorted(body))]
        content = json.dumps(body).encode()
        if chance.random() < 0.1:
            cut = chance.randrange(len(content))
            content = content[:cut] + chance.randbytes(chance.randrange(4)) + content[cut + 1 :]
        answer = await client.post(path, content=content)
        assert answer.status_code in told - {500}, f"{content!r}: {answer.text}"
        assert isinstance(answer.json(), dict | list)
