"""The library TensorRT: imported by need, and a logger that remembers what went wrong."""

import importlib
import logging
from collections import deque
from types import ModuleType
from typing import Any

from embedplane_server.errors import PermanentError, PermanentReason

logger = logging.getLogger(__name__)

_REMEMBERED = 5


def load_library(name: str = "tensorrt") -> ModuleType:
    """Return a module of the GPU image; elsewhere the error names that image."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise PermanentError(
            PermanentReason.BACKEND_UNAVAILABLE,
            f"{name} cannot be loaded in this image: {error}. Use the GPU image (Helm value images.gpuServer), or "
            "set engine.backend: openvino.",
        ) from error


def recorder(trt: ModuleType) -> Any:  # noqa: ANN401 -- a class of the library, which is imported by need
    """Return a logger whose `told()` gives the last errors in the library's words.

    TensorRT says why something failed in its log only, and returns None.
    """
    severities = trt.ILogger.Severity
    levels = {
        severities.INTERNAL_ERROR: logging.ERROR,
        severities.ERROR: logging.ERROR,
        severities.WARNING: logging.WARNING,
        severities.INFO: logging.DEBUG,
        severities.VERBOSE: logging.NOTSET,
    }

    class Recorder(trt.ILogger):  # type: ignore[name-defined,misc]  # a base class that comes with the image
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._errors: deque[str] = deque(maxlen=_REMEMBERED)

        def log(self, severity: Any, message: str) -> None:  # noqa: ANN401
            level = levels.get(severity, logging.NOTSET)
            if level >= logging.ERROR:
                self._errors.append(message.strip())
            if level:
                logger.log(level, "%s", message)

        def told(self) -> str:
            return "; ".join(self._errors) or "TensorRT gives no reason"

    return Recorder()
