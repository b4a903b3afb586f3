"""Times of kernels that builds have measured, kept for the next build on the same kind of machine.

They make builds faster and change nothing else, so nothing here ever ends one: what cannot be read is as good as
absent, and what cannot be written is lost. Of writers side by side the last one wins; it knew what it had read.
"""

import hashlib
import logging

from embedplane_server.errors import TransientError
from embedplane_server.store.collection import TIMINGS
from embedplane_server.store.store import Store

LARGEST = 64 * 1024 * 1024
"""TensorRT forgets nothing, so measurements that have outgrown this many bytes begin anew."""
_SEAL = hashlib.sha256().digest_size

logger = logging.getLogger(__name__)


def timings_of(library: str, kind: str) -> str:
    """Return the place of what a release of a library measured on a kind of machine, whatever the model."""
    return f"{TIMINGS}/{library}/{kind}"


async def read_timings(store: Store, place: str) -> bytes:
    """Return what was kept at a place; nothing where there is nothing, or nothing that is as it was written."""
    try:
        content = await store.read(place) or b""
    except TransientError as error:
        logger.warning("builds measure anew: %s", error.message)
        return b""
    seal, timings = content[:_SEAL], content[_SEAL:]
    if content and seal != hashlib.sha256(timings).digest():
        logger.warning("%s is damaged: this build measures anew and replaces it", place)
        return b""
    return timings


async def keep_timings(store: Store, place: str, timings: bytes) -> None:
    """Keep what a build knows at its end."""
    try:
        if len(timings) > LARGEST:
            await store.remove_document(place)
        elif timings:
            await store.write(place, hashlib.sha256(timings).digest() + timings)
    except TransientError as error:
        logger.warning("the next build measures anew: %s", error.message)
