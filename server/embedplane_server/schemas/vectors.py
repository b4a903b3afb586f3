"""Vectors as JSON numbers, in slices, so that the event loop can serve others in between."""

import asyncio

import orjson

from embedplane_server.engines.base import Vectors

ROWS_AT_ONCE = 256


async def vectors_json(vectors: Vectors) -> bytes:
    """Return a list of lists of numbers."""
    parts = []
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        if start:
            await asyncio.sleep(0)
        rows = vectors[start : start + ROWS_AT_ONCE]
        parts.append(orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1])
    return b"[" + b",".join(parts) + b"]"
