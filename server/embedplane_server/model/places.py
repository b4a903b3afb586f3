"""Which modules a model's folder lists, and where each lies. Code that comes with a model is never run.

What the modules say and whether they can be served together is in `chain.py`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embedplane_server.errors import unsupported_model
from embedplane_server.model.classifier import names_a_classifier

# Module kinds and whether each has weights of its own.
KINDS = {"Transformer": True, "Pooling": False, "Dense": True, "LayerNorm": True, "Normalize": False, "Dropout": False}


def module_places(folder: Path) -> tuple[tuple[str, str], ...]:
    """Return kind and path of each module. A plain transformers model has none listed and gets mean pooling.

    One that classifies gets none: its own head comes after the Transformer.
    """
    if listed := read_json(folder, "modules.json"):
        return tuple((_kind(entry), _path(entry)) for entry in listed)
    is_classifier = names_a_classifier(read_json(folder, "config.json"))
    return (("Transformer", ""),) if is_classifier else (("Transformer", ""), ("Pooling", ""))


def _path(entry: Mapping[str, Any]) -> str:
    path = str(entry.get("path", ""))
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise unsupported_model(f"modules.json names the folder {path!r} outside the model.")
    return path.strip("/").removeprefix("./").removesuffix(".")


def _kind(entry: Mapping[str, Any]) -> str:
    reference = str(entry.get("type", ""))
    origin, _, kind = reference.rpartition(".")
    if origin.split(".")[0] != "sentence_transformers":
        raise unsupported_model(
            f"modules.json asks for {reference}, which is code of the model's own and is never run. "
            "Use a model made of sentence-transformers' own modules."
        )
    if kind not in KINDS or entry.get("kwargs"):
        raise unsupported_model(f"modules.json asks for {reference}; supported are {', '.join(KINDS)}.")
    return kind


def read_json(folder: Path, name: str) -> Any:  # noqa: ANN401 -- whatever the model's author wrote
    """Return a JSON file's content; a missing file is an empty object."""
    path = folder / name
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise unsupported_model(f"{name} of the model is not valid JSON ({error}). Repair the model.") from error
