"""How a command ends that is told to before it is done: a container's first process ignores SIGTERM without a handler.

Threads cannot be interrupted and Python waits for them at its end, so a step's process is ended under them: what they
were making has no manifest yet, and so does not exist.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TypeVar

CLEANUP_SECONDS = 5.0
"""So long a step may take to remove what it has half written."""

Done = TypeVar("Done")


@contextmanager
def on_sigterm(end: Callable[[], NoReturn]) -> Iterator[None]:
    """Let SIGTERM end the process at once."""

    def handle(_: int, __: FrameType | None) -> NoReturn:
        end()

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_until_told(
    work: Awaitable[Done], end: Callable[[], NoReturn], signals: Collection[signal.Signals] = (signal.SIGTERM,)
) -> Done:
    """Return what the work returns; a signal cancels it, and `end` is called once it has cleaned up, or has not."""

    async def run() -> Done:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        told = False

        def tell() -> None:
            nonlocal told
            told = True
            task.cancel()
            loop.call_later(CLEANUP_SECONDS, end)

        for number in signals:
            loop.add_signal_handler(number, tell)
        try:
            return await work
        except BaseException:
            if told:
                end()
            raise

    return asyncio.run(run())
