"""Why two spaces differ, in words: by digests of parts, by what the status says, honestly where neither is known."""

from typing import Any

import pytest

from embedplane_operator.api.status import VectorSpaceStatus
from embedplane_operator.decide.difference import what_differs

PARTS = {"weights": "1", "config": "1", "modules": "1", "tokenizer": "1", "prompts": "1", "window": "1"}


def space(**changes: Any) -> VectorSpaceStatus:
    known: dict[str, Any] = {
        "inputs": "i",
        "id": "vs1-0",
        "dimensions": 384,
        "pooling": "mean",
        "normalized": True,
        "max_sequence_length": 256,
        "parts": PARTS,
    }
    return VectorSpaceStatus(**known | changes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parts": PARTS | {"weights": "2"}}, "the weights"),
        ({"parts": PARTS | {"tokenizer": "2", "weights": "2"}}, "the weights and the tokenizer"),
        ({"parts": PARTS | {"modules": "2"}}, "the chain of modules"),
        ({"parts": PARTS | {"modules": "2"}, "pooling": "cls"}, "the pooling (mean before, cls now)"),
        (
            {"parts": PARTS | {"window": "2"}, "max_sequence_length": 128},
            "the window (256 tokens before, 128 tokens now)",
        ),
        ({"dimensions": 128}, "the dimensions (384 before, 128 now)"),
        (
            {"parts": PARTS | {"weights": "2", "config": "2", "prompts": "2"}, "prompts": ("query",)},
            "the weights, config.json and the prompts",
        ),
        ({"parts": {**PARTS, "rotation": "2"}}, "rotation"),
    ],
)
def test_the_parts_that_differ_are_named_with_their_values_where_they_are_known(
    change: dict[str, Any], words: str
) -> None:
    assert what_differs(space(), space(**change)) == f"They differ in {words}"


def test_a_space_that_was_found_before_parts_were_told_is_compared_by_its_status() -> None:
    old = space(parts=None)

    assert what_differs(old, space(pooling="cls")) == "They differ in the pooling (mean before, cls now)"
    assert what_differs(old, space()) == "They differ in their files"


def test_what_is_not_known_any_more_is_not_guessed() -> None:
    assert what_differs(None, space()) == "What the served space was made of is not known any more"
