"""Vectors as JSON numbers, in slices, so that the event loop can serve others in between."""

import asyncio
from collections.abc import Sequence

import orjson

from embedplane_server.engines.base import Vectors

ROWS_AT_ONCE = 256


async def token_vectors_json(by_input: Sequence[Vectors]) -> bytes:
    """Return a list of such lists."""
    parts = []
    for vectors in by_input:
        await asyncio.sleep(0)
        parts.append(await vectors_json(vectors))
    return b"[" + b",".join(parts) + b"]"


async def vectors_json(vectors: Vectors) -> bytes:
    """Return a list of lists of numbers."""
    parts = []
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        if start:
            await asyncio.sleep(0)
        rows = vectors[start : start + ROWS_AT_ONCE]
        parts.append(orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1])
    return b"[" + b",".join(parts) + b"]"
