"""What every program here does: tasks come as JSON on standard input, vectors or the client's errors go out as JSON.

The programs run in the environment of the clients, one a process, with the server's address as their first argument. A
task is a model's name and texts. Importing a client takes seconds, so a process does all that is asked of it.
"""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

KEY = "unused"

Embed = Callable[[str, str, list[str]], dict[str, Any]]
"""From the server's address, the model's name and the texts to what is told."""


def tell(embed: Embed) -> None:
    """Do the tasks one after the other and tell what came of each."""
    json.dump([_told(embed, **task) for task in json.load(sys.stdin)], sys.stdout)


def _told(embed: Embed, model: str, texts: list[str]) -> dict[str, Any]:
    try:
        return embed(sys.argv[1], model, texts)
    except Exception as error:  # whatever a client raises is what its user sees
        told = {"error": type(error).__name__, "message": str(error), "code": getattr(error, "code", None)}
        return {**told, "status": getattr(error, "status_code", None)}


def vectors(embeddings: Sequence[Sequence[float]], **facts: Any) -> dict[str, Any]:
    """Return what a program tells when all went well."""
    return {"vectors": [list(embedding) for embedding in embeddings], **facts}
