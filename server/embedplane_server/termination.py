"""The last word of a command: one JSON object of at most 2 KiB in the pod's termination message (docs/contract.md)."""

import json
from pathlib import Path
from typing import Any

from embedplane_server.errors import StepError

LIMIT_BYTES = 2048
_ELLIPSIS = "..."


def result_message(result: dict[str, Any]) -> str:
    """Return the message of a command that is done."""
    return _compact({"result": result})


def error_message(error: StepError) -> str:
    """Return the message of a command that failed, its text cut where it would not fit."""
    text = _error(error, error.message)
    if len(text.encode()) <= LIMIT_BYTES:
        return text
    low, high = 0, len(error.message)
    while low < high:
        middle = (low + high + 1) // 2
        if len(_cut(error, middle).encode()) <= LIMIT_BYTES:
            low = middle
        else:
            high = middle - 1
    return _cut(error, low)


def write(path: Path, message: str) -> None:
    """Write the message where Kubernetes looks for it; on a machine without that file it is only printed."""
    if path.parent.is_dir() and (path.exists() or path.parent != Path("/dev")):
        path.write_text(message, encoding="utf-8")


def _cut(error: StepError, length: int) -> str:
    return _error(error, error.message[:length] + _ELLIPSIS)


def _error(error: StepError, message: str) -> str:
    return _compact({"error": {"reason": error.reason, "message": message, **error.about}})


def _compact(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
