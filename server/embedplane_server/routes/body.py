"""Reading requests and knowing whether somebody still waits for the answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from embedplane_server.options import RequestLimits
from embedplane_server.routes.errors import BodyTooLarge, BodyTooSlow, ClientLeft, TimeIsUp, TooMuchHeld
from embedplane_server.routes.shape import check_shape
from embedplane_server.scheduling.errors import ShuttingDown

HELD_BODIES = 8
"""So many times the limit is held of all requests together, from the first byte to the answer."""
DISCARDED_BODIES = 4
"""So many times the limit is read and thrown away before the answer, so that the client gets to read that answer."""
LAST_SECONDS = 5.0
"""So long bodies that are under way may take when the server ends."""


class Bodies:
    """Reads the bodies of requests, each within limits of size, content and time."""

    def __init__(self, limits: RequestLimits, max_seconds: float) -> None:
        self._sizes = limits
        self._max_bytes = limits.max_bytes
        self._max_seconds = max_seconds
        self._limits: set[asyncio.Timeout] = set()
        self._is_ending = False
        self._held = 0

    @asynccontextmanager
    async def reading(self, request: Request) -> AsyncIterator[bytes]:
        """Give the body, which counts as held until the block ends; one that is too large is read, but not kept."""
        body = await self._read_in_time(request)
        self._held += len(body)
        try:
            yield body
        finally:
            self._held -= len(body)

    async def _read_in_time(self, request: Request) -> bytes:
        try:
            async with asyncio.timeout(self._seconds()) as limit:
                self._limits.add(limit)
                try:
                    return await self._read(request)
                finally:
                    self._limits.discard(limit)
        except ClientDisconnect as error:
            raise ClientLeft("The client left before its request was complete.") from error
        except TimeoutError as error:
            if self._is_ending:
                raise ShuttingDown from error
            raise BodyTooSlow(
                f"The request body did not arrive within the {self._max_seconds:g} seconds that this server gives it. "
                "Send fewer inputs in one request."
            ) from error

    def give_up(self) -> None:
        """Wait only a little longer for what is still to come: the server ends."""
        self._is_ending = True
        last = asyncio.get_running_loop().time() + LAST_SECONDS
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(min(limit.when() or last, last))

    def _seconds(self) -> float:
        return min(self._max_seconds, LAST_SECONDS) if self._is_ending else self._max_seconds

    async def _read(self, request: Request) -> bytes:
        chunks: list[bytes] = []
        size = kept = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size > self._max_bytes:
                    chunks.clear()
                    self._held, kept = self._held - kept, 0
                else:
                    chunks.append(chunk)
                    self._held, kept = self._held + len(chunk), kept + len(chunk)
                if self._held > self._max_bytes * HELD_BODIES:
                    raise TooMuchHeld("The server holds as much of other requests as it may. Please try again.")
                if size > self._max_bytes * DISCARDED_BODIES:
                    break
        finally:
            self._held -= kept
        if size > self._max_bytes:
            raise BodyTooLarge(
                f"The request body is larger than {self._max_bytes} bytes. Send fewer inputs in one request."
            )
        body = b"".join(chunks)
        check_shape(body, self._sizes)
        return body


@asynccontextmanager
async def while_wanted(request: Request, seconds: float, spent: float) -> AsyncIterator[None]:
    """Cancel what is inside when the client leaves or the time is up; the body must have been read before.

    `seconds` are the whole request's, `spent` is what it has taken of them so far.
    """
    left = False

    async def watch() -> None:
        nonlocal left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left = True
        limit.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(max(seconds - spent, 0)) as limit:
            watcher = asyncio.create_task(watch())
            try:
                yield
            finally:
                watcher.cancel()
    except TimeoutError as error:
        if left:
            raise ClientLeft("The client left before its answer was ready.") from error
        raise TimeIsUp(
            f"The request took longer than the {seconds:g} seconds that it has. Send fewer inputs in one request."
        ) from error
