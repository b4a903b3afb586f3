"""Puts the server together: `create_app(settings, engine, ...)`. Everything it needs is passed in."""

from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fastapi import FastAPI
from prometheus_client import PlatformCollector, ProcessCollector
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from embedplane_server.builders.manifest import EngineManifest
from embedplane_server.embedding import Embedder, Tokenizer
from embedplane_server.engines.base import Engine
from embedplane_server.keys import ApiKeys
from embedplane_server.lifecycle import Lifecycle
from embedplane_server.metrics import Identity, Metrics
from embedplane_server.options import Policy, RequestLimits
from embedplane_server.policies import serving_policy
from embedplane_server.retirement import Retirement
from embedplane_server.routes.body import Bodies
from embedplane_server.routes.cohere import Cohere
from embedplane_server.routes.cors import with_cors
from embedplane_server.routes.default_route import check_free, default_paths, read_as
from embedplane_server.routes.door import Door
from embedplane_server.routes.edge import Edge, EdgeSettings
from embedplane_server.routes.errors import error_response
from embedplane_server.routes.express import Express
from embedplane_server.routes.health import health_routes
from embedplane_server.routes.info import ServedLimits, info_routes, served_info
from embedplane_server.routes.offers import offered
from embedplane_server.routes.ollama import Ollama
from embedplane_server.routes.openai import OpenAi
from embedplane_server.routes.openapi import choices, openapi_routes
from embedplane_server.routes.page import page_routes
from embedplane_server.routes.predict import Predict
from embedplane_server.routes.rerank import Rerank
from embedplane_server.routes.tei import Tei
from embedplane_server.routes.traced import with_traces
from embedplane_server.scheduling.admission import Limits
from embedplane_server.scheduling.scheduler import Scheduler
from embedplane_server.self_check import Checked, Proof, SelfCheck, Standard, repeated
from embedplane_server.self_check_metrics import SelfCheckMetrics
from embedplane_server.served import ServedModel
from embedplane_server.settings import ServeSettings
from embedplane_server.spelling import Speller, Spelling
from embedplane_server.tracing.request_trace import Tracing

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig  # the GPU image's release is older and has none

LEAST_QUEUED_TOKENS = 600_000
QUEUED_SECONDS = 10
TOKENIZER_THREADS = 2
NO_TELEMETRY: "TelemetryConfig" = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}
"""FastAPI would trace and count a second time, and only what goes through its router. Older releases ignore it."""


@dataclass(frozen=True, slots=True)
class Application:
    """The ASGI application, and what the process around it has to steer."""

    asgi: ASGIApp
    running: Callable[[], AbstractAsyncContextManager[None]]
    """What runs beside the requests while the server serves; the ASGI lifespan enters it."""
    lifecycle: Lifecycle
    scheduler: Scheduler
    metrics: Metrics
    stop_reading: Callable[[], None]
    """Give up requests that are still arriving; called when the server is about to end."""
    routes: Sequence[tuple[str, str]]
    """Method and path of everything it answers, as the OpenAPI document lists it."""
    express: Express | None
    """The short way to some of it, for an HTTP server that has one; None where there is none."""


class ServingTokenizer(Tokenizer, Speller, Protocol):
    """What a server needs of `tokenization.Tokenizer`."""


def create_app(
    settings: ServeSettings,
    engine: Engine,
    tokenizer: ServingTokenizer,
    manifest: EngineManifest,
    tracing: Tracing | None = None,
    proof: Proof | None = None,
) -> Application:
    """Return the application around an engine that was checked and warmed; with its proof it is checked again."""
    served = ServedModel(settings.model_name, settings.served_model_names, manifest)
    policy = serving_policy(settings, manifest.description)
    metrics = _metrics(served, policy)
    limits = _limits(settings, manifest)
    scheduler = Scheduler(engine, limits.queue, metrics, manifest.benchmark.tokens_per_second)
    metrics.watch_queue(scheduler.queued)
    lifecycle = Lifecycle(scheduler.problem)
    check = _self_check(settings, proof, manifest, scheduler, lifecycle, metrics) if proof else None

    def last_check() -> Checked | None:
        return check.last if check else None

    tokenizers = ThreadPoolExecutor(TOKENIZER_THREADS, thread_name_prefix="tokenizer")
    running = _running(scheduler, check, settings.self_check_seconds, tokenizers)
    embedder = Embedder(tokenizer, scheduler, limits.request, policy, tokenizers)
    info = served_info(served, policy, limits)
    keys = ApiKeys(settings.api_keys_files) if settings.api_keys_files else None
    bodies = Bodies(limits.request, settings.max_body_seconds)
    door = Door(served, embedder, metrics, bodies, settings.max_request_seconds)
    spelling = Spelling(tokenizer, limits.request, policy.prompts, tokenizers)
    further = default_paths(settings.default_route)
    families = [
        *_model_routes(door, spelling),
        *health_routes(lifecycle, metrics.registry),
        *info_routes(info, last_check),
        *page_routes(info, manifest, keys, further),
        *openapi_routes(choices(served, policy, tokenizer.vocabulary_size), further),
    ]
    routes = offered(families, manifest.description.kind)
    check_free(further, routes)
    edge_settings = _edge_settings(settings, served, policy, routes, keys, last_check)
    edge = Edge(_router(routes, running), edge_settings, lifecycle, metrics)
    express = Express(edge, door) if tracing is None and manifest.description.task == "embedding" else None
    traced = with_traces(edge, tracing, served.name, {*edge_settings.known_paths, *edge_settings.read_as})
    listed = [*_listed(routes), *(("POST", path) for path in further)]
    asgi = with_cors(traced, settings.cors_origins)
    return Application(asgi, running, lifecycle, scheduler, metrics, bodies.give_up, listed, express)


def _running(
    scheduler: Scheduler, check: SelfCheck | None, check_seconds: float, tokenizers: ThreadPoolExecutor
) -> Callable[[], AbstractAsyncContextManager[None]]:

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        scheduler.start()
        async with repeated(check, check_seconds):
            yield
        scheduler.close()
        tokenizers.shutdown(wait=False, cancel_futures=True)

    return running


def _model_routes(door: Door, spelling: Spelling) -> list[Route]:
    return [
        *OpenAi(door).routes(),
        *Tei(door, spelling).routes(),
        *Cohere(door).routes(),
        *Ollama(door).routes(),
        *Rerank(door, spelling).routes(),
        *Predict(door).routes(),
    ]


def _router(routes: list[Route], running: Callable[[], AbstractAsyncContextManager[None]]) -> FastAPI:
    app = FastAPI(
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lambda _: running(),
        routes=list(routes),
        telemetry=NO_TELEMETRY,
    )
    app.add_exception_handler(HTTPException, _pass_on)
    app.add_exception_handler(Exception, _error)
    return app


def _listed(routes: list[Route]) -> list[tuple[str, str]]:
    return [
        (method, route.path.replace(":path}", "}"))
        for route in routes
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]


def _edge_settings(
    settings: ServeSettings,
    served: ServedModel,
    policy: Policy,
    routes: list[Route],
    keys: ApiKeys | None,
    last_check: Callable[[], Checked | None],
) -> EdgeSettings:
    plain = [route for route in routes if not route.param_convertors]
    known = frozenset(route.path for route in plain)
    return EdgeSettings(
        vector_space=policy.matryoshka.space_name(policy.matryoshka.default),
        commit=served.manifest.commit,
        max_connection_seconds=settings.max_connection_seconds,
        known_paths=known,
        read_as=read_as(settings.default_route, known),
        shortcuts={(method, route.path): route.endpoint for route in plain for method in route.methods or ()},
        keys=keys,
        last_check=last_check,
        retirement=Retirement(settings.role_file),
    )


def _self_check(
    settings: ServeSettings,
    proof: Proof,
    manifest: EngineManifest,
    scheduler: Scheduler,
    lifecycle: Lifecycle,
    metrics: Metrics,
) -> SelfCheck:
    """Return the check of the engine behind the scheduler; when it fails, nothing is answered any more."""

    def drifted(words: str) -> None:
        scheduler.stop_answering()
        lifecycle.drift = words

    standard = Standard(settings.minimum_cosine, manifest.description.activation)
    return SelfCheck(proof, standard, scheduler.probe, SelfCheckMetrics(metrics.registry, metrics.labels).note, drifted)


def _limits(settings: ServeSettings, manifest: EngineManifest) -> ServedLimits:
    request = RequestLimits(
        max_sequence_length=manifest.description.max_sequence_length,
        max_inputs=settings.max_inputs,
        max_tokens=settings.max_request_tokens,
        max_bytes=settings.max_request_bytes,
    )
    return ServedLimits(request, queue_limits(settings, manifest), tokenizer_threads=TOKENIZER_THREADS)


def queue_limits(settings: ServeSettings, manifest: EngineManifest) -> Limits:
    """Return the bounds of the queue: the user's, else what the engine was measured to do."""
    measured = int(QUEUED_SECONDS * manifest.benchmark.tokens_per_second)
    return Limits(
        max_batch_tokens=settings.max_batch_tokens or manifest.max_batch_tokens,
        max_queued_tokens=settings.max_queued_tokens or max(LEAST_QUEUED_TOKENS, measured),
        max_batch_seconds=max(settings.max_request_seconds, 60.0),
    )


def _metrics(served: ServedModel, policy: Policy) -> Metrics:
    manifest, space = served.manifest, policy.matryoshka.space_name(policy.matryoshka.default)
    metrics = Metrics(Identity(served.name, space), served.description.task)
    metrics.describe_engine(
        {
            "backend": manifest.backend,
            "backend_version": manifest.backend_version,
            "precision": manifest.precision,
            "commit": manifest.commit,
            "conformance": f"{manifest.conformance.minimum_cosine:.6f}",
        }
    )
    metrics.describe_conformance(manifest.conformance.model_dump(exclude_none=True))
    ProcessCollector(registry=metrics.registry)
    PlatformCollector(registry=metrics.registry)
    return metrics


async def _pass_on(_: Request, error: Exception) -> Response:
    """Leave it to `_error`, after which Starlette raises it again, so that the edge counts it."""
    raise error


async def _error(request: Request, error: Exception) -> Response:
    return error_response(error, request.method, request.url.path)
