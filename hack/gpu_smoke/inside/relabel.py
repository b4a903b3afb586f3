"""Run by the GPU image's Python: an engine of one store is published in another as if another GPU had built it.

Arguments: the URLs of both stores, the key of the engine, its variant and its new one. Prints RESULT and a name.
"""

import asyncio
import json
import sys

from embedplane_server.builders.manifest import EngineManifest, engine_entry
from embedplane_server.store import files_below, open_store


async def relabel(source: str, target: str, key: str, variant: str, other: str) -> str:
    """Return the name of the new entry."""
    store = open_store(source)
    found = await store.find_about(engine_entry(key, variant), EngineManifest)
    if found is None:
        raise SystemExit(f"the store has no {engine_entry(key, variant)}")
    manifest, entry = found
    folder = await store.local_directory(engine_entry(key, variant), entry)
    about = manifest.model_copy(update={"variant": other}).model_dump(mode="json")
    name = engine_entry(key, other)
    await open_store(target).publish(name, folder, files_below(folder), about)
    return name


if __name__ == "__main__":
    print("RESULT", json.dumps(asyncio.run(relabel(*sys.argv[1:]))))
