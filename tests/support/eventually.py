"""Waiting for a condition on an event loop, with a deadline."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool], within: float = 10) -> None:
    """Return as soon as the condition holds; fail when it does not hold in time."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 -- what is waited for happens in other threads, which set no event
            await asyncio.sleep(0.001)
