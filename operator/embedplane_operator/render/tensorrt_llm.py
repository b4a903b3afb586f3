"""Whether `engine.backend: auto` takes TensorRT-LLM: by what the fetch says of the model, and by the GPU. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OLDEST, TOO_NEW = (8, 0), (10, 0)
"""Compute capabilities from and below which TensorRT-LLM 1.2.1 has its attention plugin."""
PRECISIONS = ("auto", "float16", "float32")
"""What its encoders are built in."""


@dataclass(frozen=True)
class Exactness:
    """What a fetch says: whether TensorRT-LLM gives the model's vectors, and why."""

    is_exact: bool
    reason: str


_UNTOLD = Exactness(is_exact=False, reason="the fetch does not tell whether TensorRT-LLM is exact for the model")


def read_exactness(fetched: Mapping[str, Any]) -> Exactness:
    """Read a fetch Job's result; that of an older version says nothing, and what nobody says is not taken for exact."""
    told = fetched.get("tensorrtLlm")
    if not isinstance(told, dict) or not isinstance(told.get("reason"), str):
        return _UNTOLD
    return Exactness(told.get("isExact") is True, told["reason"])


def why_not(exactness: Exactness, precision: str, compute_capability: str) -> str | None:
    """Return why TensorRT-LLM is not taken; None when it is."""
    if not exactness.is_exact:
        return exactness.reason
    if precision not in PRECISIONS:
        return f"it does not build encoders in {precision}"
    major, minor = compute_capability.split(".")
    if not OLDEST <= (int(major), int(minor)) < TOO_NEW:
        return f"it has no attention plugin for compute capability {compute_capability}"
    return None
