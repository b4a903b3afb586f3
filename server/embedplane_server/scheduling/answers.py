"""From the engine's threads back to those who wait: each on its own event loop."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from embedplane_server.scheduling.work import Embedded, Work


def embedded(work: Work, now: float) -> Embedded:
    """Return what a request gets that is complete."""
    if work.vectors is None or work.started is None:
        raise AssertionError("a request cannot be complete before one of its inputs started")
    return Embedded(work.vectors, work.started - work.arrived, now - work.started)


def settle(works: Sequence[Work], answer: Callable[[Work], None]) -> None:
    """Settle the futures of these requests on their event loop, all in one step."""

    def settle_all() -> None:
        for work in works:
            if not work.future.done():
                answer(work)

    if works:
        with suppress(RuntimeError):  # the loop was closed: nobody waits for the answer
            works[0].future.get_loop().call_soon_threadsafe(settle_all)
