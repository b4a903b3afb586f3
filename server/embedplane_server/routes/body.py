"""Reading requests and knowing whether somebody still waits for the answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from embedplane_server.routes.errors import BodyTooLarge, ClientLeft, TimeIsUp

DISCARDED_BODIES = 4
"""So many times the limit is read and thrown away before the answer, so that the client gets to read that answer."""


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body; one that is too large is read without being kept, then refused."""
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= max_bytes:
                chunks.append(chunk)
            else:
                chunks.clear()
            if size > max_bytes * DISCARDED_BODIES:
                break
    except ClientDisconnect as error:
        raise ClientLeft("The client left before its request was complete.") from error
    if size > max_bytes:
        raise BodyTooLarge(f"The request body is larger than {max_bytes} bytes. Send fewer inputs in one request.")
    return b"".join(chunks)


@asynccontextmanager
async def while_wanted(request: Request, max_seconds: float) -> AsyncIterator[None]:
    """Cancel what is inside when the client leaves or the time is up; the body must have been read before."""
    left = False

    async def watch() -> None:
        nonlocal left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left = True
        limit.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(max_seconds) as limit:
            watcher = asyncio.create_task(watch())
            try:
                yield
            finally:
                watcher.cancel()
    except TimeoutError as error:
        if left:
            raise ClientLeft("The client left before its answer was ready.") from error
        raise TimeIsUp(
            f"The request took longer than the {max_seconds:g} seconds that this server gives it. Send fewer inputs."
        ) from error
