"""What an API server says of an object by the CRD's structural schema, without one. CEL rules are its own matter."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CRD = Path(__file__).parents[2] / "crds" / "embeddingmodels.yaml"
TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
KNOWN = {
    "type", "description", "default", "format", "properties", "required", "additionalProperties", "items", "enum",
    "pattern", "minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems", "maxItems",
    "maxProperties", "anyOf", "x-kubernetes-int-or-string", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
}  # fmt: skip
"""Keywords that are looked at here, or mean nothing for one object; another one fails the tests until it is."""


@cache
def schema() -> dict[str, Any]:
    (version,) = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def problems(manifest: Any, node: Mapping[str, Any] | None = None, where: str = "") -> list[str]:
    """Return what does not fit, with its place; an unknown field does not."""
    return list(_problems(manifest, node if node is not None else schema(), where))


def _problems(value: Any, node: Mapping[str, Any], where: str) -> Iterator[str]:
    assert node.keys() <= KNOWN, node.keys() - KNOWN
    wanted = (int, str) if node.get("x-kubernetes-int-or-string") else TYPES[node["type"]]
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        yield f"{where} is {value!r}, not {node.get('type', 'a quantity')}"
        return
    if "enum" in node and value not in node["enum"]:
        yield f"{where} is {value!r}, not one of {node['enum']}"
    yield from _out_of_bounds(value, node, where)
    if isinstance(value, dict):
        yield from _fields(value, node, where)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _problems(item, node["items"], f"{where}[{place}]")


def _fields(value: dict[str, Any], node: Mapping[str, Any], where: str) -> Iterator[str]:
    properties, rest = node.get("properties"), node.get("additionalProperties")
    if properties is None and rest is None:
        return  # metadata: the API server's own
    yield from (f"{where} lacks {name}" for name in node.get("required", ()) if name not in value)
    for name, content in value.items():
        inner = (properties or {}).get(name, rest)
        if inner is None:
            yield f"{where} has an unknown field {name}"
        else:
            yield from _problems(content, inner, f"{where}.{name}".lstrip("."))


def _out_of_bounds(value: Any, node: Mapping[str, Any], where: str) -> Iterator[str]:
    size = len(value) if isinstance(value, str | list | dict) else value
    kind = {str: "Length", list: "Items", dict: "Properties"}.get(type(value))
    least, most = (f"min{kind}", f"max{kind}") if kind else ("minimum", "maximum")
    low = size < node.get(least, size) or size <= node.get("exclusiveMinimum", size - 1) if not kind else False
    if low or (kind and size < node.get(least, size)) or size > node.get(most, size):
        yield f"{where} is {value!r}, out of bounds"
    if isinstance(value, str) and "pattern" in node and not re.search(node["pattern"], value):
        yield f"{where} is {value!r}, which does not match {node['pattern']}"
