"""The serve step: find the engine, load it, prove it again on this machine, warm it, then serve until told to end.

Nothing listens before the engine was proven, so a server that answers at all is ready.
"""

import asyncio
import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from embedplane_server.app import create_app, queue_limits
from embedplane_server.builders.conformance import Conformance, References, load_references, measure, told
from embedplane_server.builders.gpu import this_machine
from embedplane_server.builders.manifest import EngineManifest, damaged_engine, engine_entry, find_engine
from embedplane_server.ending import on_sigterm
from embedplane_server.engines.base import Batch, Engine
from embedplane_server.engines.load import load_engine
from embedplane_server.errors import ExitCode, VectorDrift, invalid_settings
from embedplane_server.export.manifest import TOKENIZER
from embedplane_server.http_server import http_server, listen
from embedplane_server.model.classifier import Activation
from embedplane_server.self_check import Checked, Proof
from embedplane_server.settings import ServeSettings
from embedplane_server.store import DamagedEntry, open_store
from embedplane_server.tokenization import Tokenizer, load_tokenizer
from embedplane_server.tracing.configuration import configured_tracing

logger = logging.getLogger(__name__)

CHECKED_TEXTS = 16
"""So many golden texts, spread over all lengths, are compared at each start."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An engine that was proven and warmed on this machine, and what belongs to it."""

    engine: Engine
    tokenizer: Tokenizer
    manifest: EngineManifest
    proof: Proof | None = None


def run(settings: ServeSettings, on_ready: Callable[[int], None] = lambda _: None) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code; `on_ready` gets the port."""
    with on_sigterm(end_at_once), configured_tracing(settings.model_name) as tracing:
        loaded = load(settings)
        application = create_app(settings, loaded.engine, loaded.tokenizer, loaded.manifest, tracing, loaded.proof)
        with listen(settings.host, settings.port) as socket:
            port = int(socket.getsockname()[1])

            def ready() -> None:
                logger.info("serving %s on port %d", settings.model_name, port)
                on_ready(port)

            gc.collect()
            gc.freeze()  # what is loaded stays, and looking through it took a tenth of the event loop's time
            http_server(application, settings, ready).run(sockets=[socket])
    # A second signal leaves requests, but a batch that runs while Python ends would abort the process.
    application.scheduler.close()
    loaded.engine.close()
    if (drift := application.lifecycle.drift) is not None:
        raise VectorDrift(f"{drift}. The server is started anew from the store.", while_running=True)
    logger.info("finished")
    return ExitCode.DONE


def end_at_once() -> NoReturn:
    """End a process that does not serve yet; from then on the HTTP server drains on SIGTERM."""
    raise SystemExit(ExitCode.DONE)


def load(settings: ServeSettings) -> Loaded:
    """Return the engine of the settings, fit to serve on this machine, or raise why it is not."""
    manifest, directory = asyncio.run(_find(settings))
    logger.info("loading %s %s (%s)", manifest.backend, manifest.variant, manifest.precision)
    engine = load_engine(directory, settings.threads)
    references = load_references(directory)
    found = prove(engine, references, settings.minimum_cosine, manifest.description.activation)
    proof = Proof(references, Checked(datetime.now(UTC), found.texts, found.minimum_cosine))
    warm(engine, references, queue_limits(settings, manifest).max_batch_tokens)
    return Loaded(engine, load_tokenizer(directory / TOKENIZER), manifest, proof)


async def _find(settings: ServeSettings) -> tuple[EngineManifest, Path]:
    store = open_store(settings.store)
    manifest, entry = await find_engine(store, settings.engine_key, this_machine())
    if manifest.vector_space != settings.vector_space:
        raise invalid_settings(
            f"the engine {manifest.key} makes vectors of {manifest.vector_space}, but EMBEDPLANE_VECTOR_SPACE asks for "
            f"{settings.vector_space}. Serve the engine of that space."
        )
    name = engine_entry(manifest.key, manifest.variant)
    try:
        return manifest, await store.local_directory(name, entry)
    except DamagedEntry as error:
        raise damaged_engine(name, error.problem, manifest.key) from error


def prove(engine: Engine, references: References, floor: float, activation: Activation | None = None) -> Conformance:
    """Refuse an engine whose vectors or scores on this machine are not as near to the reference as they have to be."""
    found = measure(engine, references, CHECKED_TEXTS, activation=activation)
    logger.info("checked: %s", told(found))
    if found.minimum_cosine < floor:
        raise VectorDrift(
            f"on this machine the engine's {told(found)}, below the floor {floor}, although they met it where the "
            "engine was built, and its files are those that were published. The machine computes otherwise, or its "
            "memory is faulty: choose nodes of another kind, or set engine.precision: float32.",
            while_running=False,
        )
    return found


def warm(engine: Engine, references: References, max_batch_tokens: int) -> None:
    """Run one full batch of short and one of long texts, so that the first requests find memory and kernels ready."""
    by_length = sorted(references.token_ids, key=len)
    for ids in (by_length[len(by_length) // 4], by_length[-1]):
        engine.embed(Batch([ids] * max(1, max_batch_tokens // len(ids))))
