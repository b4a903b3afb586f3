"""The API's models as a CustomResourceDefinition: what pydantic writes, turned into a structural schema. Pure.

`hack/generate_crds.py` writes the result to `crds/` and into the chart; nothing else may be in those files.
"""

from collections.abc import Callable, Mapping
from typing import Any

from embedplane_operator.api.v1alpha1 import GROUP, KIND, PLURAL, VERSION, EmbeddingModel

Schema = dict[str, Any]

UNKNOWN_TO_KUBERNETES = ("title", "propertyNames", "additionalProperties")
"""Dropped unless they say something: a title, bounds of keys, and `additionalProperties: false`."""

METADATA: Schema = {"type": "object"}


def custom_resource_definition() -> Schema:
    """Return the CRD of EmbeddingModel."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["em"],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": print_columns(),
                    "schema": {"openAPIV3Schema": open_api_schema()},
                }
            ],
        },
    }


def print_columns() -> list[Schema]:
    """Return the columns of `kubectl get em`; those with a priority need `-o wide`."""
    return [
        _column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        _column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
        _column("Backend", ".status.engine.backend"),
        _column("Replicas", ".status.readyReplicas", kind="integer"),
        _column("Space", ".status.vectorSpace.id"),
        _column("URL", ".status.url"),
        _column("Age", ".metadata.creationTimestamp", kind="date"),
        _column("Commit", ".status.source.commit", priority=1),
        _column("Cosine", ".status.engine.conformance.minimumCosine", kind="number", priority=1),
        _column("Tokens/s", ".status.engine.benchmark.tokensPerSecond", kind="number", priority=1),
    ]


def open_api_schema() -> Schema:
    """Return the structural schema of an EmbeddingModel."""
    document = EmbeddingModel.model_json_schema(mode="validation")
    schema = structural(document, document["$defs"])
    described = {
        "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}"},
        "kind": {"type": "string", "description": KIND},
        "metadata": METADATA,
    }
    schema["properties"] = described | {name: schema["properties"][name] for name in ("spec", "status")}
    schema["properties"]["status"].pop("default", None)
    schema["required"] = ["spec"]
    del schema["$defs"]
    return schema


def structural(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return a JSON schema as the API server wants it: inlined, without nulls, titles and unions with null."""
    node = _inlined(_without_null(_inlined(node, definitions)), definitions)
    for rewrite in (_single_value, _exclusive_bounds, _without_unknown, _described, _with_full_default):
        node = rewrite(node)
    return _with_children(node, lambda child: structural(child, definitions))


def _column(name: str, path: str, kind: str = "string", priority: int = 0) -> Schema:
    return {"name": name, "type": kind, "jsonPath": path} | ({"priority": priority} if priority else {})


def _inlined(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """What stands beside a reference (a description, a default) wins over what it refers to."""
    if "$ref" not in node:
        return dict(node)
    beside = {key: value for key, value in node.items() if key != "$ref"}
    return _inlined(definitions[node["$ref"].rsplit("/", 1)[1]] | beside, definitions)


def _without_null(node: Schema) -> Schema:
    """X or null is an X that may be absent; its default of null is no default."""
    wanted = [each for each in node.get("anyOf", []) if each != {"type": "null"}]
    if len(wanted) == len(node.get("anyOf", [])):
        return {key: value for key, value in node.items() if (key, value) != ("default", None)}
    if len(wanted) != 1:
        raise ValueError(f"a field is a union that no structural schema can say: {node}")
    rest = {key: value for key, value in node.items() if key != "anyOf" and (key, value) != ("default", None)}
    return {**wanted[0], **rest}


def _single_value(node: Schema) -> Schema:
    if "const" not in node:
        return node
    return {"type": "string", "enum": [node["const"]]} | {key: value for key, value in node.items() if key != "const"}


def _exclusive_bounds(node: Schema) -> Schema:
    """The API server knows exclusive bounds only as booleans beside the bound."""
    node = dict(node)
    for bound in ("Minimum", "Maximum"):
        if f"exclusive{bound}" in node:
            node[bound.lower()] = node[f"exclusive{bound}"]
            node[f"exclusive{bound}"] = True
    return node


def _without_unknown(node: Schema) -> Schema:
    return {
        key: value
        for key, value in node.items()
        if key not in UNKNOWN_TO_KUBERNETES or (key == "additionalProperties" and isinstance(value, dict))
    }


def _described(node: Schema) -> Schema:
    """Descriptions are one line; kubectl wraps them."""
    return node | ({"description": " ".join(node["description"].split())} if "description" in node else {})


def _with_full_default(node: Schema) -> Schema:
    """Defaults of objects are complete, since rules are checked on them; empty ones say nothing."""
    if "default" not in node:
        return node
    default = _without_nothing(node["default"])
    rest = {key: value for key, value in node.items() if key != "default"}
    return rest if default in ({}, [], None) else rest | {"default": default}


def _without_nothing(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    if isinstance(value, dict):
        kept = {key: _without_nothing(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ({}, [], None)}
    return value


def _with_children(node: Schema, rewrite: Callable[[Schema], Schema]) -> Schema:
    node = dict(node)
    if node.get("type") == "object" and "properties" in node:
        node["properties"] = {name: rewrite(child) for name, child in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            node[key] = rewrite(node[key])
    if node.get("type") == "integer":
        node.setdefault("format", "int64")
    return node
