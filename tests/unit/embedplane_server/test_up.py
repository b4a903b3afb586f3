"""`up` on the real all-MiniLM-L6-v2: from a folder to vectors, in processes of its own."""

from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest

from tests.support.classifiers import reference_cross_encoder, save_bert
from tests.support.collector import Collector, running_collector
from tests.support.damage import flip
from tests.support.minilm import minilm_up, model_up
from tests.support.reference import cosines, reference_model
from tests.support.texts import texts_up_to

pytestmark = pytest.mark.model


def test_a_folder_comes_up_and_equals_the_reference(minilm):
    texts = texts_up_to(150, 60)
    theirs = reference_model().encode(texts, batch_size=1)
    with openai.OpenAI(base_url=f"{minilm.url}/v1", api_key="unused") as client:
        mixed = client.embeddings.create(model="minilm", input=texts)
        alone = [client.embeddings.create(model="minilm", input=text).data[0].embedding for text in texts[::6]]
        with pytest.raises(openai.BadRequestError, match="maximum context length is 256 tokens"):
            client.embeddings.create(model="minilm", input="word " * 300)
    ours = np.array([entry.embedding for entry in mixed.data], dtype=np.float32)
    assert cosines(ours, theirs).min() >= 0.999
    assert cosines(np.array(alone, dtype=np.float32), theirs[::6]).min() >= 0.999
    assert any("reference vectors" in line for line in minilm.told)
    assert any("try: curl http://127.0.0.1:" in line for line in minilm.told)


@dataclass(frozen=True)
class SecondRun:
    """What a process told that found everything made, and the traces that it sent before it ended."""

    told: list[str]
    collector: Collector


@pytest.fixture(scope="module")
def second_run(minilm) -> SecondRun:
    with running_collector() as collector:
        with (
            minilm_up(minilm.cache, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as served,
            openai.OpenAI(base_url=f"{served.url}/v1", api_key="unused") as client,
        ):
            client.embeddings.create(model="minilm", input="one text")
        return SecondRun(served.told, collector)


def test_what_was_built_is_reused(second_run):
    assert any("is in the store" in line for line in second_run.told)
    assert not any("reference vectors" in line or "compiling" in line for line in second_run.told)


def test_the_traces_of_a_process_arrive_before_it_ends(second_run):
    collector = second_run.collector
    [span] = collector.requests()
    assert (span.name, span.attributes["embedplane.tokens"]) == ("POST /v1/embeddings", 4)
    assert collector.below(span).keys() == {"tokenization", "queue", "inference"}
    assert span.attributes["network.protocol.version"] == "1.1"


@dataclass(frozen=True)
class Reranker:
    """A small model, the cache of the process that served it, and what that answered for these texts."""

    model: Path
    cache: Path
    texts: list[str]
    answer: httpx.Response


@pytest.fixture(scope="module")
def reranker(tmp_path_factory) -> Reranker:
    cache, texts = tmp_path_factory.mktemp("reranker"), texts_up_to(60, 12)
    model = save_bert(cache / "model")
    with model_up(model, cache, "/rerank") as served:
        answer = httpx.post(f"{served.url}/v2/rerank", json={"query": texts[5], "documents": texts}, timeout=60)
    return Reranker(model, cache, texts, answer)


def test_a_reranker_comes_up_and_says_where_it_ranks(reranker):
    expected = reference_cross_encoder(reranker.model).rank(reranker.texts[5], reranker.texts)
    assert [each["index"] for each in reranker.answer.json()["results"]] == [each["corpus_id"] for each in expected]


def test_an_engine_that_is_damaged_in_the_store_is_built_again(reranker):
    (weights,) = reranker.cache.glob("embedplane/store/engines/*/*/files-*/model.bin")
    flip(weights)
    with model_up(reranker.model, reranker.cache, "/rerank") as again:
        assert httpx.get(f"{again.url}/health/ready").status_code == 200
    assert any("is damaged in the store, and is built again" in line for line in again.told)
    assert not any("reference vectors" in line for line in again.told)
