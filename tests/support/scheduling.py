"""Asking a scheduler for vectors as `embedding.py` does."""

import asyncio
from collections.abc import Sequence

from embedplane_server.scheduling.scheduler import Scheduler
from embedplane_server.scheduling.work import Embedded


async def embed(scheduler: Scheduler, token_ids: Sequence[Sequence[int]], *, every_token: bool = False) -> Embedded:
    """Return the vectors of a request; who cancels this leaves the queue."""
    work = scheduler.admit(token_ids, every_token=every_token)
    try:
        return await work.future
    except asyncio.CancelledError:
        scheduler.abandon(work)
        raise
