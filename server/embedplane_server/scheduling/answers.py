"""From the engine's threads back to those who wait: each on its own event loop."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from embedplane_server.scheduling.work import Embedded, Work


class Waiter(Protocol):
    """Somebody who waits for an answer."""

    @property
    def future(self) -> asyncio.Future[Any]:
        """Where it is waited for."""
        ...


AnyWaiter = TypeVar("AnyWaiter", bound=Waiter)


def embedded(work: Work, now: float) -> Embedded:
    """Return what a request gets that is complete."""
    if work.vectors is None or work.started is None:
        raise AssertionError("a request cannot be complete before one of its inputs started")
    return Embedded(work.vectors, work.started - work.arrived, now - work.started)


def settle(waiting: Sequence[AnyWaiter], answer: Callable[[AnyWaiter], None]) -> None:
    """Settle the futures of those who wait on one event loop, all in one step."""

    def settle_all() -> None:
        for each in waiting:
            if not each.future.done():
                answer(each)

    if waiting:
        with suppress(RuntimeError):  # the loop was closed: nobody waits for the answer
            waiting[0].future.get_loop().call_soon_threadsafe(settle_all)
