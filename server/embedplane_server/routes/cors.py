"""Answers for pages of other origins, off unless origins are named: a browser's own rule protects the rest."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

EXPOSED = (
    "x-request-id",
    "x-embedplane-vector-space",
    "x-embedplane-model-commit",
    "x-embedplane-self-check",
    "x-embedplane-tokens",
    "x-embedplane-truncated",
    "x-embedplane-tokenization-ms",
    "x-embedplane-queue-ms",
    "x-embedplane-inference-ms",
    "x-embedplane-total-ms",
    "retry-after",
    "retry-after-ms",
)
PREFLIGHT_SECONDS = 600


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Return the application, open to pages of these origins (`*`: of all)."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=EXPOSED,
        max_age=PREFLIGHT_SECONDS,
    )
