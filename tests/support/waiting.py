"""Waiting for a condition with a deadline: the only way in which tests let time pass."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

PATIENCE = 300.0
"""Seconds. A deadline costs nothing when all goes well; a short one fails what is only slow."""


def wait_for(
    what: str,
    look: Callable[[], Value | None],
    *,
    within: float = PATIENCE,
    pause: float = 0.25,
    explain: Callable[[], str] = str,
) -> Value:
    """Return the first truthy answer of `look`; fail after `within` seconds, saying `what` and what was last seen."""
    deadline = time.monotonic() + within
    while not (seen := look()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within:.0f} s: {what}; last seen: {seen!r} {explain()}")
        time.sleep(pause)
    return seen
