"""Short ways to an application with a model of one's own, for the tests of the wire."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np

from embedplane_server.app import ServingTokenizer, create_app
from embedplane_server.builders.manifest import EngineManifest
from embedplane_server.engines.base import Vectors
from embedplane_server.model.classifier import Activation
from embedplane_server.tokenization import Text
from tests.support.fake_engine import (
    FakeEngine,
    FakeTokenizer,
    classifying_manifest,
    engine_manifest,
    fake_proof,
    serve_settings,
    vector_of,
)


@asynccontextmanager
async def served(model: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a model with these changes under these settings."""
    async with client_of(FakeEngine(), FakeTokenizer(), engine_manifest(**(model or {})), **settings) as client:
        yield client


@asynccontextmanager
async def served_classifier(
    *labels: str, activation: Activation = "softmax", **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a model with these labels; with one it is a reranker."""
    manifest = classifying_manifest(*labels, activation=activation)
    async with client_of(FakeEngine(len(labels)), FakeTokenizer(), manifest, **settings) as client:
        yield client


@asynccontextmanager
async def client_of(
    engine: FakeEngine, tokenizer: ServingTokenizer, manifest: EngineManifest, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve an engine with a tokenizer of the test's own."""
    application = create_app(serve_settings(**settings), engine, tokenizer, manifest, None, fake_proof())
    async with application.running():
        transport = httpx.ASGITransport(application.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            yield client


def vectors_of(texts: list[str]) -> Vectors:
    """Return what the fake engine makes of texts."""
    return np.stack([vector_of(ids) for ids in FakeTokenizer().encode(texts)])


def logits_of(texts: list[Text], labels: int = 1) -> Vectors:
    """Return what the fake engine makes of texts and pairs for a model with so many labels."""
    return np.stack([vector_of(ids)[:labels] for ids in FakeTokenizer().encode(texts)])


def embedded(answer: httpx.Response) -> Vectors:
    """Return the vectors of an answer in OpenAI's form."""
    assert answer.status_code == 200, answer.text
    return np.array([entry["embedding"] for entry in answer.json()["data"]], dtype=np.float32)
