"""What every program here does: texts come as JSON on standard input, vectors or the client's own error go out as JSON.

The programs run in the environment of the clients, one a process, with the server's address as their first argument and
the model's name as MODEL.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

NAME = os.environ["MODEL"]
KEY = "unused"

Embed = Callable[[str, list[str]], dict[str, Any]]


def tell(embed: Embed) -> None:
    """Embed the texts and tell what came of it."""
    try:
        told = embed(sys.argv[1], json.load(sys.stdin))
    except Exception as error:  # whatever a client raises is what its user sees
        told = {"error": type(error).__name__, "message": str(error), "code": getattr(error, "code", None)}
        told["status"] = getattr(error, "status_code", None)
    json.dump(told, sys.stdout)


def vectors(embeddings: Sequence[Sequence[float]], **facts: Any) -> dict[str, Any]:
    """Return what a program tells when all went well."""
    return {"vectors": [list(embedding) for embedding in embeddings], **facts}
