"""The OpenAPI document is true: every route stands in it, and what routes take and answer is as it says."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from embedplane_server import __version__
from embedplane_server.policies import serving_policy
from embedplane_server.routes.openapi import choices, openapi_document
from embedplane_server.routes.operations import OPERATIONS
from embedplane_server.schemas import cohere, info, ollama, openai, tei
from embedplane_server.served import ServedModel
from tests.support.fake_engine import (
    NAMES,
    SPACE,
    VOCABULARY,
    FakeEngine,
    engine_manifest,
    fake_application,
    serve_settings,
)
from tests.unit.embedplane_server.serving import served

SETTINGS = serve_settings(dimensions={"allowed": [4]})
MANIFEST = engine_manifest(prompts={"query": "query: ", "STS": ""})
SERVED = ServedModel(NAMES[0], NAMES, MANIFEST)
DOCUMENT = openapi_document(choices(SERVED, serving_policy(SETTINGS, MANIFEST.description), VOCABULARY))
SCHEMAS = DOCUMENT["components"]["schemas"]
ANSWERS = {
    "/v1/embeddings": ({"input": ["x", "y"]}, openai.EmbeddingList),
    "/embeddings": ({"input": "x", "encoding_format": "base64"}, openai.EmbeddingList),
    "/v2/embed": ({"texts": ["x"], "embedding_types": ["float", "base64", "binary"]}, cohere.CohereEmbedAnswer),
    "/api/embed": ({"model": "minilm", "input": "x"}, ollama.OllamaEmbedAnswer),
    "/v1/models": (None, openai.ServedModelList),
    "/models": (None, openai.ServedModelList),
    "/v1/models/minilm": (None, openai.ServedModelCard),
    "/api/tags": (None, ollama.OllamaTags),
    "/api/version": (None, ollama.OllamaVersion),
    "/info": (None, info.Info),
}


ROOT = Path(__file__).parents[3]


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*(references(value) for value in node.values()))
    return set().union(*(references(item) for item in node)) if isinstance(node, list) else set()


def matches(schema: dict[str, Any], value: Any, schemas: dict[str, Any] = SCHEMAS) -> bool:
    """Tell whether a value is as a schema says, for the words that our schemas use."""
    if "$ref" in schema:
        return matches(schemas[schema["$ref"].rpartition("/")[2]], value, schemas)
    if "anyOf" in schema:
        return any(matches(each, value, schemas) for each in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds = {"string": str, "array": list, "object": dict, "boolean": bool, "null": type(None)}
    kind = schema.get("type")
    if kind in ("number", "integer"):
        is_whole = kind == "number" or value == int(value) if isinstance(value, int | float) else False
        return is_whole and not isinstance(value, bool)
    if kind is not None and not isinstance(value, kinds[kind]):
        return False
    if isinstance(value, list):
        return all(matches(schema.get("items", {}), item, schemas) for item in value)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return set(schema.get("required", ())) <= value.keys() and all(
            matches(properties[name], each, schemas) for name, each in value.items() if name in properties
        )
    return True


def test_every_reference_leads_somewhere():
    for reference in references(DOCUMENT):
        assert reference.rpartition("/")[2] in SCHEMAS, reference
    assert references(DOCUMENT) == {f"#/components/schemas/{name}" for name in SCHEMAS}, "a schema that nobody uses"


def test_it_names_what_this_server_takes():
    fields = SCHEMAS["EmbeddingRequest"]["properties"]
    assert fields["model"]["enum"] == [*NAMES, None]
    assert fields["prompt_name"]["enum"] == ["STS", "query", None]
    assert fields["dimensions"]["enum"] == [4, 8, None]
    assert {"search_query", "document", "STS"} <= set(fields["input_type"]["enum"])
    assert SCHEMAS["EmbedRequest"]["properties"]["normalize"]["enum"] == [True, None]
    assert SCHEMAS["OllamaEmbedRequest"]["properties"]["model"]["enum"] == list(NAMES)
    ids = SCHEMAS["DecodeRequest"]["properties"]["ids"]["anyOf"][0]["items"]
    assert (ids["minimum"], ids["maximum"]) == (0, VOCABULARY - 1)
    parameters = {each["name"]: each for each in DOCUMENT["paths"]["/v1/embeddings"]["post"]["parameters"]}
    assert parameters["x-embedplane-vector-space"]["schema"]["enum"] == [f"{SPACE};dimensions=4", SPACE]
    assert parameters["x-embedplane-token-encoding"]["schema"]["enum"] == ["model", "cl100k_base"]


def test_the_version_is_the_projects():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert DOCUMENT["info"]["version"] == __version__ == project["version"]


def test_the_document_lists_every_route_and_no_other():
    application = fake_application(FakeEngine())
    told = {(operation.method.upper(), operation.path) for operation in OPERATIONS}
    assert told == set(application.routes)


async def test_it_is_served():
    async with served({"prompts": MANIFEST.description.prompts}, dimensions={"allowed": [4]}) as client:
        answer = await client.get("/openapi.json")
    assert answer.json() == DOCUMENT
    assert answer.json()["openapi"] == "3.1.0"
    assert not re.search(r"https?://", answer.text), "no assets of others"


@pytest.mark.parametrize("path", ANSWERS)
async def test_answers_are_what_it_says(client, path):
    body, model = ANSWERS[path]
    answer = await (client.get(path) if body is None else client.post(path, json=body))
    assert answer.status_code == 200, answer.text
    model.model_validate(answer.json())
    place = path.replace("minilm", "{name}")
    schema = DOCUMENT["paths"][place]["get" if body is None else "post"]["responses"]["200"]["content"]
    assert matches(schema["application/json"]["schema"], answer.json())


async def test_answers_have_the_headers_that_it_names(client):
    for path, body in [("/v1/embeddings", {"input": "w " * 70, "truncate": True}), ("/embed", {"inputs": "x"})]:
        answer = await client.post(path, json=body)
        named = set(DOCUMENT["paths"][path]["post"]["responses"]["200"]["headers"])
        own = {name for name in answer.headers if name.startswith("x-") and not name.endswith("-time")}
        own -= {"x-compute-tokens"}
        assert named - own <= {"x-embedplane-truncated"}
        assert own <= named


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/embed", {"inputs": ["x"]}),
        ("/embed_all", {"inputs": ["x", "y z"]}),
        ("/similarity", {"inputs": {"source_sentence": "x", "sentences": ["y"]}}),
        ("/tokenize", {"inputs": "x"}),
        ("/decode", {"ids": [2000]}),
    ],
)
async def test_bare_answers_are_what_it_says(client, path, body):
    answer = await client.post(path, json=body)
    assert answer.status_code == 200
    assert matches(
        DOCUMENT["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"], answer.json()
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/embeddings", {}),
        ("POST", "/v1/embeddings", {"input": "x", "model": "other"}),
        ("GET", "/v1/models/other", None),
        ("POST", "/embed", {"inputs": ""}),
        ("POST", "/embed", {"inputs": 3}),
        ("POST", "/embed_all", {}),
        ("POST", "/decode", {"ids": [-1]}),
        ("POST", "/v2/embed", {}),
        ("POST", "/api/embed", {}),
    ],
)
async def test_failures_are_what_it_says(client, method, path, body):
    answer = await client.request(method, path, json=body)
    operation = DOCUMENT["paths"][path.replace("models/other", "models/{name}")][method.lower()]
    told = operation["responses"][str(answer.status_code)]
    assert matches(told["content"]["application/json"]["schema"], answer.json())


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (openai.EmbeddingRequest, {"input": "x", "truncate": True}),
        (openai.EmbeddingRequest, {"input": [[1, 2]], "truncate": "END", "dimensions": 4}),
        (openai.EmbeddingRequest, {"input": [1], "truncate": "end"}),
        (openai.EmbeddingRequest, {"input": [1.5]}),
        (openai.EmbeddingRequest, {"input": [[1, 2.0], [3.0]], "dimensions": 4.0}),
        (openai.EmbeddingRequest, {"input": [1, True]}),
        (openai.EmbeddingRequest, {"input": ["x", 1]}),
        (openai.EmbeddingRequest, {}),
        (tei.EmbedRequest, {"inputs": ["x"], "truncation_direction": "left"}),
        (tei.EmbedRequest, {"inputs": {"a": 1}}),
        (tei.DecodeRequest, {"ids": [[1.0, 2]]}),
        (tei.DecodeRequest, {"ids": ["x"]}),
        (cohere.CohereEmbedRequest, {"texts": ["x"], "embedding_types": ["float"]}),
        (cohere.CohereEmbedRequest, {"texts": "x"}),
        (ollama.OllamaEmbedRequest, {"model": "minilm", "input": "x"}),
        (ollama.OllamaEmbedRequest, {"input": "x"}),
    ],
)
def test_a_body_is_taken_exactly_when_it_says_so(model, body):
    try:
        model.model_validate(body)
        is_taken = True
    except ValueError:
        is_taken = False
    assert matches({"$ref": f"#/components/schemas/{model.__name__}"}, body) == is_taken
