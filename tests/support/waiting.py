"""Waiting for a condition with a deadline: the only way in which tests let time pass."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_for(
    what: str,
    look: Callable[[], Value | None],
    *,
    within: float = 60,
    pause: float = 0.25,
    explain: Callable[[], str] = str,
) -> Value:
    """Return the first truthy answer of `look`; fail after `within` seconds, saying `what` and what was last seen."""
    deadline = time.monotonic() + within
    seen: Value | None = None
    while time.monotonic() < deadline:
        seen = look()
        if seen:
            return seen
        time.sleep(pause)
    raise AssertionError(f"not within {within:.0f} s: {what}; last seen: {seen!r} {explain()}")
