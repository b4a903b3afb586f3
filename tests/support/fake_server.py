"""A real HTTP server around the fake engine: in a thread for tests that steer it, as a program for signals.

`python -m tests.support.fake_server PORT [KIND OF MODEL]` prints `ready` when it serves; SIGTERM drains it.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from embedplane_server.app import Application
from embedplane_server.builders.manifest import EngineManifest
from embedplane_server.http_server import DrainingServer, http_server, listen
from embedplane_server.model.description import Kind
from embedplane_server.scheduling.work import Lane
from tests.support.fake_engine import MANIFESTS, FakeEngine, engine_manifest, fake_application, serve_settings


@dataclass
class RunningServer:
    """A server that runs in a thread."""

    application: Application
    engine: FakeEngine
    server: DrainingServer
    thread: threading.Thread
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def queued_inputs(self) -> int:
        return sum(self.application.scheduler.queued(lane).inputs for lane in Lane)


@contextmanager
def running_server(manifest: EngineManifest | None = None, **options: Any) -> Iterator[RunningServer]:
    """Serve until the block ends."""
    manifest = manifest or engine_manifest()
    engine = FakeEngine(manifest.description.dimensions)
    application = fake_application(engine, manifest, **options)
    ready = threading.Event()
    server = http_server(application, serve_settings(**options), ready.set)
    with listen("127.0.0.1", 0) as socket:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        assert ready.wait(10), "the server did not start"
        yield RunningServer(application, engine, server, thread, socket.getsockname()[1])
        engine.release()
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive(), "the server did not end"


def main() -> None:
    manifest = MANIFESTS[cast("Kind", sys.argv[2]) if len(sys.argv) > 2 else "embedding"]
    settings = serve_settings(drain_delay_seconds=1)
    with listen("127.0.0.1", int(sys.argv[1])) as socket:
        application = fake_application(FakeEngine(manifest.description.dimensions), manifest)
        http_server(application, settings, tell_ready).run(sockets=[socket])


def tell_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
