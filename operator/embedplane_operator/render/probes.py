"""Probes of the server: a long patience while weights load, a short one afterwards. Pure."""

import math

from embedplane_operator.kinds import Manifest
from embedplane_operator.render.names import SERVER_PORT_NAME

STARTUP_PERIOD = 2
BASE_STARTUP_SECONDS = 180
BYTES_PER_SECOND = 10_000_000
"""What the slowest network storage in use reads."""


def startup_seconds(size_bytes: int) -> int:
    """Return how long a server may take until it is ready: loading the weights, the self-check, warming up."""
    return BASE_STARTUP_SECONDS + math.ceil(size_bytes / BYTES_PER_SECOND)


def render_probes(size_bytes: int) -> Manifest:
    """Return the three probes; the startup probe ends when the server is ready for the first time."""
    return {
        "startupProbe": {
            **_get("/health/ready"),
            "periodSeconds": STARTUP_PERIOD,
            "timeoutSeconds": 5,
            "failureThreshold": math.ceil(startup_seconds(size_bytes) / STARTUP_PERIOD),
        },
        "readinessProbe": {
            **_get("/health/ready"),
            "periodSeconds": 5,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        "livenessProbe": {
            **_get("/health/live"),
            "periodSeconds": 10,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
        },
    }


def _get(path: str) -> Manifest:
    return {"httpGet": {"path": path, "port": SERVER_PORT_NAME}}
