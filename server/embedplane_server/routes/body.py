"""Reading requests and knowing whether somebody still waits for the answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.types import Receive

from embedplane_server.options import RequestLimits
from embedplane_server.routes.connection import Connection
from embedplane_server.routes.errors import BodyTooLarge, BodyTooSlow, ClientLeft, TimeIsUp, TooMuchHeld
from embedplane_server.routes.shape import check_shape
from embedplane_server.scheduling.errors import ShuttingDown

HELD_BODIES = 8
"""So many times the limit is held of all requests together, from the first byte to the answer."""
DISCARDED_BODIES = 4
"""So many times the limit is read and thrown away before the answer, so that the client gets to read that answer."""
Result = TypeVar("Result")

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

    async def read(self, receive: Receive) -> bytes:
        """Return the body, which counts as held until it is released; one that is too large is read, but not kept."""
        try:
            async with asyncio.timeout(self._seconds()) as limit:
                self._limits.add(limit)
                try:
                    body = await self._read(receive)
                finally:
                    self._limits.discard(limit)
        except TimeoutError as error:
            if self._is_ending:
                raise ShuttingDown from error
            raise BodyTooSlow(
                f"The request body did not arrive within the {self._max_seconds:g} seconds that this server gives it. "
                "Send fewer inputs in one request."
            ) from error
        self._held += len(body)
        return body

    def release(self, body: bytes) -> None:
        """Note that a body is needed no longer."""
        self._held -= len(body)

    def give_up(self) -> None:
        """Wait only a little longer for what is still to come: the server ends."""
        self._is_ending = True
        last = asyncio.get_running_loop().time() + LAST_SECONDS
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(min(limit.when() or last, last))

    def _seconds(self) -> float:
        return min(self._max_seconds, LAST_SECONDS) if self._is_ending else self._max_seconds

    async def _read(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = kept = 0
        more = True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft("The client left before its request was complete.")
                chunk, more = message.get("body", b""), message.get("more_body", False)
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


async def while_wanted(
    work: Callable[[], Awaitable[Result]], connection: Connection, seconds: float, spent: float
) -> Result:
    """Return what work gives; cancel it when the client leaves or the time is up.

    `seconds` are the whole request's, `spent` is what it has taken of them so far.
    """

    def leave() -> None:
        if not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(max(seconds - spent, 0)) as limit:
            connection.when_left(leave)
            try:
                return await work()
            finally:
                connection.when_left(None)
    except TimeoutError as error:
        raise (client_left() if connection.has_left else time_is_up(seconds)) from error


def client_left() -> ClientLeft:
    """Return what is noted of a request whose client waits no longer."""
    return ClientLeft("The client left before its answer was ready.")


def time_is_up(seconds: float) -> TimeIsUp:
    """Return what a request is told that takes longer than it may."""
    return TimeIsUp(
        f"The request took longer than the {seconds:g} seconds that it has. Send fewer inputs in one request."
    )
