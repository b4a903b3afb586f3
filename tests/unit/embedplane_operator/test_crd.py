"""The models become a structural schema; what the API server makes of it is in tests/integration."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from embedplane_operator.api.conditions import ConditionType, JobReason, Reason
from embedplane_operator.crd import custom_resource_definition, open_api_schema, structural

FORBIDDEN = {"$ref", "$defs", "title", "const", "propertyNames"}


def nodes(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema below a schema, with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if isinstance(schema.get("items"), dict):
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def test_the_schema_is_structural() -> None:
    for path, node in nodes(open_api_schema()):
        assert FORBIDDEN & node.keys() == set(), path
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert node.get("additionalProperties") is not False, path
        assert node.get("default", "") is not None, path


def test_everything_in_the_spec_is_bounded() -> None:
    for path, node in nodes(open_api_schema()["properties"]["spec"]):
        kind = node.get("type")
        if kind == "array":
            assert "maxItems" in node, path
        if kind == "object" and "additionalProperties" in node:
            assert "maxProperties" in node, path
        if kind == "string":
            assert "maxLength" in node or "enum" in node, path


def test_every_field_of_ours_is_explained() -> None:
    of_kubernetes = ("resources.", "tolerations[]", "affinity.", "topologySpreadConstraints[]", "env[]", "Secrets[]")
    for path, node in nodes(open_api_schema()):
        is_ours = path.rpartition(".")[2] and not path.endswith(("[]", "{}", ".metadata"))
        if is_ours and not any(part in path for part in of_kubernetes):
            assert node.get("description"), path


def test_descriptions_say_the_default() -> None:
    for path, node in nodes(open_api_schema()["properties"]["spec"]):
        if "default" in node and node.get("type") != "object":
            default = json.dumps(node["default"]).strip('"')
            is_said = f"Default: {default}" in node["description"] or node.get("type") == "array"
            assert is_said, f"{path}: {node['description']}"


def test_objects_with_defaults_have_them_in_full() -> None:
    scaling = open_api_schema()["properties"]["spec"]["properties"]["scaling"]

    assert scaling["default"]["maxReplicas"] == 1
    assert scaling["default"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert "default" not in open_api_schema()["properties"]["spec"]["properties"]["embedding"]


def test_only_the_spec_is_required() -> None:
    assert open_api_schema()["required"] == ["spec"]


def test_the_crd_is_small_enough_for_client_side_apply() -> None:
    assert len(json.dumps(custom_resource_definition())) < 200_000


def test_a_reference_keeps_what_stands_beside_it() -> None:
    definitions = {"Port": {"type": "integer", "description": "A port.", "title": "Port"}}

    assert structural({"$ref": "#/$defs/Port", "description": "Ours."}, definitions) == {
        "type": "integer",
        "format": "int64",
        "description": "Ours.",
    }


def test_a_value_or_null_is_a_value_that_may_be_absent() -> None:
    node = {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}], "default": None}

    assert structural(node, {}) == {"type": "string", "maxLength": 3}


def test_an_exclusive_bound_is_a_flag() -> None:
    assert structural({"type": "number", "exclusiveMinimum": 0}, {}) == {
        "type": "number",
        "minimum": 0,
        "exclusiveMinimum": True,
    }


def test_one_value_is_an_enum_of_one() -> None:
    assert structural({"const": "Pods"}, {}) == {"type": "string", "enum": ["Pods"]}


def test_a_union_that_cannot_be_said_is_an_error() -> None:
    with pytest.raises(ValueError, match="union"):
        structural({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}, {})


def test_reasons_and_types_fit_into_conditions() -> None:
    for word in (*ConditionType, *Reason, *JobReason):
        assert word.isalnum()
        assert word[0].isupper()
