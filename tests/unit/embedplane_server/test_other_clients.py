"""Clients of other interfaces, unmodified, against a real server; each is tested where it is installed."""

import gc
import gzip
import warnings
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

from embedplane_server.cl100k import PACKAGE
from tests.support.fake_server import RunningServer, running_server
from tests.unit.embedplane_server.serving import vectors_of

TEXTS = ["a short text", "x", "another one"]
NAME = "minilm"

# Clients' own deprecations are not ours.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running_server() as server:
        yield server


@pytest.fixture(autouse=True)
def left_open() -> Iterator[None]:
    """Let go of the connections that some clients never close, before they count as a fault of the tests."""
    yield
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


def same(found, texts=TEXTS) -> bool:
    return bool(np.allclose(np.array(found, dtype=np.float32), vectors_of(texts), atol=1e-6))


def test_cohere(server):
    cohere = pytest.importorskip("cohere")
    client = cohere.ClientV2(api_key="unused", base_url=server.url)
    answer = client.embed(
        model=NAME, texts=TEXTS, input_type="search_document", embedding_types=["float", "ubinary", "base64"]
    )
    assert same(answer.embeddings.float_)
    assert answer.embeddings.ubinary == np.packbits(vectors_of(TEXTS) > 0, axis=-1).tolist()
    with pytest.raises(cohere.NotFoundError, match="does not exist"):
        client.embed(model="embed-v4.0", texts=TEXTS, input_type="search_document", embedding_types=["float"])


def test_ollama(server):
    ollama = pytest.importorskip("ollama")
    client = ollama.Client(host=server.url)
    assert same(client.embed(NAME, TEXTS).embeddings)
    assert next(model.model for model in client.list().models) == NAME
    with pytest.raises(ollama.ResponseError, match="does not exist") as unknown:
        client.embed("other", TEXTS)
    assert unknown.value.status_code == 404


def test_langchain_with_text(server):
    langchain = pytest.importorskip("langchain_openai")
    embeddings = langchain.OpenAIEmbeddings(
        model=NAME, base_url=f"{server.url}/v1", api_key="unused", check_embedding_ctx_length=False
    )
    assert same(embeddings.embed_documents(TEXTS))
    assert same([embeddings.embed_query("x")], ["x"])


@pytest.mark.usefixtures("cl100k_of_tiktoken")
def test_langchain_by_default_is_told_what_to_set_or_is_understood(server):
    langchain = pytest.importorskip("langchain_openai")
    openai = pytest.importorskip("openai")
    by_default = langchain.OpenAIEmbeddings(model=NAME, base_url=f"{server.url}/v1", api_key="unused")
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        by_default.embed_documents(TEXTS)
    with running_server(token_encoding="cl100k_base") as other:
        by_default = langchain.OpenAIEmbeddings(model=NAME, base_url=f"{other.url}/v1", api_key="unused")
        assert same(by_default.embed_documents(TEXTS))
    headers = {"x-embedplane-token-encoding": "cl100k_base"}
    says_so = langchain.OpenAIEmbeddings(
        model=NAME, base_url=f"{server.url}/v1", api_key="unused", default_headers=headers
    )
    assert same(says_so.embed_documents(TEXTS))


@pytest.fixture
def cl100k_of_tiktoken(monkeypatch, tmp_path) -> None:
    """Let tiktoken find its table without a download, in its cache under the digest of the address."""
    packed = distribution(PACKAGE).locate_file(f"{PACKAGE}/data/cl100k_base.tiktoken.gz")
    (tmp_path / "9b5ad71b2ce5302211f9c61530b329a4922fc6a4").write_bytes(gzip.decompress(Path(packed).read_bytes()))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))


def test_litellm(server):
    litellm = pytest.importorskip("litellm")
    answer = litellm.embedding(model=f"openai/{NAME}", input=TEXTS, api_base=f"{server.url}/v1", api_key="unused")
    assert same([entry["embedding"] for entry in answer.data])
    assert answer.usage.prompt_tokens == 12


def test_llama_index_as_openai(server):
    module = pytest.importorskip("llama_index.embeddings.openai_like")
    embeddings = module.OpenAILikeEmbedding(model_name=NAME, api_base=f"{server.url}/v1", api_key="unused")
    assert same(embeddings.get_text_embedding_batch(TEXTS))


def test_llama_index_as_tei(server):
    module = pytest.importorskip("llama_index.embeddings.text_embeddings_inference")
    embeddings = module.TextEmbeddingsInference(model_name=NAME, base_url=server.url)
    assert same(embeddings.get_text_embedding_batch(TEXTS))
    assert same([embeddings.get_text_embedding("x")], ["x"])


def test_haystack(server, monkeypatch):
    monkeypatch.setenv("HAYSTACK_TELEMETRY_ENABLED", "False")
    module = pytest.importorskip("haystack.components.embedders")
    haystack = pytest.importorskip("haystack")
    embedder = module.OpenAIDocumentEmbedder(
        api_key=haystack.utils.Secret.from_token("unused"),
        model=NAME,
        api_base_url=f"{server.url}/v1",
        progress_bar=False,
    )
    found = embedder.run([haystack.Document(content=text) for text in TEXTS])
    assert same([document.embedding for document in found["documents"]])
    assert found["meta"]["usage"]["prompt_tokens"] == 12
