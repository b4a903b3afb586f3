"""Short ways to an application with a model of one's own, for the tests of the wire."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np

from embedplane_server.engines.base import Vectors
from tests.support.fake_engine import FakeEngine, FakeTokenizer, engine_manifest, fake_application, vector_of


@asynccontextmanager
async def served(model: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a model with these changes under these settings."""
    application = fake_application(FakeEngine(), engine_manifest(**(model or {})), **settings)
    async with application.running():
        transport = httpx.ASGITransport(application.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            yield client


def vectors_of(texts: list[str]) -> Vectors:
    """Return what the fake engine makes of texts."""
    return np.stack([vector_of(ids) for ids in FakeTokenizer().encode(texts)])


def embedded(answer: httpx.Response) -> Vectors:
    """Return the vectors of an answer in OpenAI's form."""
    assert answer.status_code == 200, answer.text
    return np.array([entry["embedding"] for entry in answer.json()["data"]], dtype=np.float32)
