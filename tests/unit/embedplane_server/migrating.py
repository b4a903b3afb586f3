"""Short ways to served models and files of records, for the tests of `compare` and `reembed`."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from embedplane_server.app import Application, create_app
from embedplane_server.migration.columns import Columns
from embedplane_server.migration.endpoint import Endpoint
from embedplane_server.migration.records import Record, read_records
from tests.support.fake_engine import SPACE, FakeEngine, FakeTokenizer, engine_manifest, serve_settings


@asynccontextmanager
async def application_and_endpoint(
    engine: FakeEngine,
    model: dict[str, Any] | None = None,
    space: str = SPACE,
    key: str | None = None,
    patience: float = 10,
    waits: list[str] | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[Application, Endpoint]]:
    """Serve a model with these changes under these settings, and give a client of it."""
    manifest = engine_manifest(**(model or {}))
    manifest = manifest.model_copy(update={"description": replace(manifest.description, vector_space=space)})
    application = create_app(serve_settings(**settings), engine, FakeTokenizer(), manifest)
    waited = waits.append if waits is not None else lambda _: None
    async with application.running():
        transport = httpx2.ASGITransport(application.asgi)
        async with Endpoint("http://server/v1", key, patience=patience, waited=waited, transport=transport) as endpoint:
            yield application, endpoint


@asynccontextmanager
async def endpoint_of(engine: FakeEngine | None = None, **changes: Any) -> AsyncIterator[Endpoint]:
    """Give a client of a served model."""
    async with application_and_endpoint(engine or FakeEngine(), **changes) as (_, endpoint):
        yield endpoint


def jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows_of(texts: Sequence[str]) -> list[dict[str, Any]]:
    return [{"id": f"doc-{number}", "text": text} for number, text in enumerate(texts)]


def written(folder: Path) -> list[Record]:
    """Return what the parts of a folder hold, in their order."""
    parts = sorted(folder.glob("part-*"))
    return [record for part in parts for record in read_records(part, Columns())]
