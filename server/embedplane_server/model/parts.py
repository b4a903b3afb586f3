"""A short digest of each part of a vector space's canonical form: what differs between two spaces, by name."""

from collections.abc import Mapping
from typing import Any

from embedplane_server.model.space import sha256_of

PART_DIGITS = 12


def part_digests(form: Mapping[str, Any]) -> dict[str, str]:
    """Return 12 hex digits by part; two forms are equal if all of these are."""
    transformer, *others = form["modules"]
    parts = {
        "weights": [module["weights"] for module in form["modules"] if module["weights"]],
        "config": transformer["config"],
        "modules": [(module["kind"], module["config"]) for module in others],
        "tokenizer": form["tokenizer"],
        "prompts": (form["prompts"], form["defaultPrompt"]),
        "window": form["maxSequenceLength"],
    }
    known = {"modules", "tokenizer", "prompts", "defaultPrompt", "maxSequenceLength"}
    if further := {key: value for key, value in form.items() if key not in known}:
        parts["config"] = (parts["config"], further)
    return {name: sha256_of(part)[:PART_DIGITS] for name, part in parts.items()}
