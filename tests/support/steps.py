"""From a model's files to a served engine, for tests with real weights: steps in this process, a server in its own."""

import asyncio
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from embedplane_server.builders.machine import machine_class
from embedplane_server.builders.manifest import engine_entry, find_engine
from embedplane_server.builders.step import build
from embedplane_server.fetch import fetch
from embedplane_server.progress import Progress
from embedplane_server.results import BuildResult, FetchResult
from embedplane_server.settings import (
    BuildSettings,
    EngineSettings,
    ExportFormat,
    ExportSettings,
    FetchSettings,
    Overrides,
    Source,
)
from embedplane_server.store import open_store
from hack.environment import outside
from tests.support.ports import free_port
from tests.support.shortened import few_golden_texts, short_benchmarks
from tests.support.waiting import wait_for

ENGINE = EngineSettings(backend="openvino")


@dataclass
class Steps:
    """The three steps over one store; what was told while they ran is in `told`."""

    store: str
    source: Source
    told: io.StringIO = field(default_factory=io.StringIO)
    engine: EngineSettings = ENGINE
    texts_folder: Path = Path("/texts")
    """The mounted ConfigMap that `engine.texts` is the digest of."""
    format: ExportFormat = "openvino"
    around: dict[str, str] = field(default_factory=outside)
    """The environment of servers, beside their settings."""
    has_few_texts: bool = False
    """Exports prove with a few of the golden texts: for tests of something else."""

    def fetch(self, **overrides) -> FetchResult:
        settings = FetchSettings(
            store=self.store,
            source=self.source,
            overrides=Overrides(**overrides),
            engine=self.engine,
        )
        return asyncio.run(fetch(settings, Progress(self.told)))

    def export(self, fetched: FetchResult, **overrides) -> str:
        from embedplane_server.export.step import export  # noqa: PLC0415 -- torch, only for these tests

        settings = ExportSettings(
            store=self.store,
            model_digest=fetched.digest,
            overrides=Overrides(**overrides),
            format=self.format,
            texts=self.engine.texts,
            texts_folder=self.texts_folder,
        )
        with few_golden_texts() if self.has_few_texts else nullcontext():
            return asyncio.run(export(settings, Progress(self.told))).export_key

    def build(self, export_key, engine=None, minimum_cosine=0.999, **options) -> BuildResult:
        settings = BuildSettings(
            store=self.store,
            export_key=export_key,
            engine=engine or self.engine,
            minimum_cosine=minimum_cosine,
            threads=2,
            **options,
        )
        with short_benchmarks():
            return asyncio.run(build(settings, Progress(self.told)))

    def directory(self, built: BuildResult):
        async def found():
            store = open_store(self.store)
            manifest, entry = await find_engine(store, built.key, machine_class())
            return await store.local_directory(engine_entry(built.key, manifest.variant), entry)

        return asyncio.run(found())

    @contextmanager
    def served(self, fetched: FetchResult, built: BuildResult, name: str, **settings: object) -> Iterator[str]:
        """Serve as a pod does; give the base URL."""
        port = free_port()
        given = {
            "store": self.store,
            "engine_key": built.key,
            "model_name": name,
            "served_model_names": json.dumps([name]),
            "vector_space": fetched.vector_space.id,
            "host": "127.0.0.1",
            "port": port,
            "threads": 2,
            "drain_delay_seconds": 0,
            **settings,
        }
        environment = {**self.around, **{f"EMBEDPLANE_{key.upper()}": str(value) for key, value in given.items()}}
        with subprocess.Popen([sys.executable, "-m", "embedplane_server", "serve"], env=environment) as process:
            url = f"http://127.0.0.1:{port}"
            try:
                wait_for("the server is ready", lambda: self._is_ready(process, url))
                yield url
                process.send_signal(signal.SIGTERM)
                process.wait(120)
            finally:
                process.kill()  # one that still runs here would be waited for without end

    def _is_ready(self, process: subprocess.Popen[bytes], url: str) -> bool:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            return httpx.get(f"{url}/health/ready").is_success
        except httpx.TransportError:
            return False
