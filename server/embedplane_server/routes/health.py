"""Probes and metrics: need no key, and answer from memory."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from embedplane_server.lifecycle import Lifecycle
from embedplane_server.routes.errors import NotReady

PROBE_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})


def health_routes(lifecycle: Lifecycle, registry: CollectorRegistry) -> list[Route]:
    """Return /health/live, /health/ready, /health as text-embeddings-inference has it, and /metrics."""

    async def live(_: Request) -> Response:
        return _answer(lifecycle.not_alive_because())

    async def ready(_: Request) -> Response:
        return _answer(lifecycle.not_ready_because())

    async def health(_: Request) -> Response:
        _answer(lifecycle.not_ready_because())
        return Response()

    async def metrics(request: Request) -> Response:
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": media_type})

    return [
        Route("/health/live", live, methods=["GET"]),
        Route("/health/ready", ready, methods=["GET"]),
        Route("/health", health, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
    ]


def _answer(problem: str | None) -> Response:
    if problem is not None:
        raise NotReady(f"Not now: {problem}.")
    return JSONResponse({"status": "ok"})
