"""Small rerankers and classifiers from a folder to scores over HTTP, held against sentence-transformers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import numpy as np
import pytest

from embedplane_server.app import create_app
from embedplane_server.builders.machine import machine_class
from embedplane_server.engines.base import Batch
from embedplane_server.errors import PermanentError
from embedplane_server.results import BuildResult, FetchResult
from embedplane_server.serve import Loaded, load
from embedplane_server.settings import EngineSettings, Source
from tests.support.classifiers import LABELS, reference_cross_encoder, save_bert, save_roberta
from tests.support.fake_engine import serve_settings
from tests.support.steps import Steps
from tests.support.texts import texts_up_to

pytestmark = pytest.mark.model

TEXTS = texts_up_to(150, 24)
QUERY = TEXTS[9]
LONG_QUERY = TEXTS[-1]
NEAR = 1e-4
MODELS = {
    "reranker": save_bert,
    "answers with logits": lambda folder: save_bert(
        folder, sentence_transformers={"activation_fn": "torch.nn.modules.linear.Identity"}
    ),
    "no types of tokens": save_roberta,
    "classifier": lambda folder: save_bert(folder, LABELS),
}
RERANKERS = ["reranker", "answers with logits", "no types of tokens"]


@dataclass
class Made:
    """A model, what the steps made of it, and the reference."""

    steps: Steps
    fetched: FetchResult
    export: str
    built: BuildResult

    @property
    def loaded(self) -> Loaded:
        return load(serve_settings(store=self.steps.store, engine_key=self.built.key, **self.space))

    @property
    def space(self) -> dict[str, str]:
        return {"vector_space": self.fetched.vector_space.id}

    def reference(self):
        return reference_cross_encoder(self.steps.source.path)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[httpx.AsyncClient]:
        loaded = await asyncio.to_thread(lambda: self.loaded)
        settings = serve_settings(**self.space)
        application = create_app(settings, loaded.engine, loaded.tokenizer, loaded.manifest)
        transport = httpx.ASGITransport(application.asgi)
        async with application.running(), httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            yield client
        loaded.engine.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a model by its name, made once for all tests."""
    known: dict[str, Made] = {}

    def make(name: str) -> Made:
        if name not in known:
            folder = tmp_path_factory.mktemp("models")
            steps = Steps(f"file://{folder}/store", Source(path=MODELS[name](folder / "model")))
            fetched = steps.fetch()
            export = steps.export(fetched)
            known[name] = Made(steps, fetched, export, steps.build(export))
        return known[name]

    return make


@pytest.mark.parametrize("name", MODELS)
def test_it_is_proven_published_and_found_again(made, name):
    model = made(name)
    found = model.built.conformance
    assert found.texts >= 64
    assert found.minimum_cosine >= 0.999
    assert found.maximum_difference <= 0.045
    assert found.rank_correlation >= 0.999
    again = model.steps.fetch()
    assert again.vector_space.task == "classification"
    assert again.vector_space.dimensions == (1 if name in RERANKERS else len(LABELS))
    assert again.engine == model.built


@pytest.mark.parametrize("query", [QUERY, LONG_QUERY], ids=["short", "long"])
@pytest.mark.parametrize("name", RERANKERS)
async def test_ranks_equal_those_of_the_reference(made, name, query):
    model = await asyncio.to_thread(made, name)
    reference = model.reference()
    expected = reference.rank(query, TEXTS)
    async with model.served() as client:
        body = {"query": query, "texts": TEXTS, "truncate": True}
        ranks = (await client.post("/rerank", json=body)).json()
        raw = (await client.post("/rerank", json={**body, "raw_scores": True})).json()
        cohere = (await client.post("/v2/rerank", json={"query": query, "documents": TEXTS, "top_n": 5})).json()
    assert [rank["index"] for rank in ranks] == [rank["corpus_id"] for rank in expected]
    assert [rank["score"] for rank in ranks] == pytest.approx([rank["score"] for rank in expected], abs=NEAR)
    logits = reference.predict([(query, text) for text in TEXTS], activation_fn=_same)
    assert [rank["score"] for rank in raw] == pytest.approx(sorted(logits.tolist(), reverse=True), abs=10 * NEAR)
    found = [(each["index"], each["relevance_score"]) for each in cohere["results"]]
    assert found == [(rank["index"], rank["score"]) for rank in ranks[:5]]


@pytest.mark.parametrize("name", MODELS)
async def test_predictions_equal_those_of_transformers(made, name):
    from transformers import pipeline  # noqa: PLC0415 -- torch takes seconds to import

    model = await asyncio.to_thread(made, name)
    reference = model.reference()
    classify = pipeline("text-classification", model=reference.model, tokenizer=reference.tokenizer, top_k=None)
    inputs = [[text] if index % 2 else [text, QUERY] for index, text in enumerate(TEXTS)]
    bodies = [{"text": each[0], "text_pair": each[1]} if len(each) == 2 else {"text": each[0]} for each in inputs]
    activation = "none" if name == "answers with logits" else None
    expected = [classify(body, truncation=True, function_to_apply=activation) for body in bodies]
    async with model.served() as client:
        found = (await client.post("/predict", json={"inputs": inputs, "truncate": True})).json()
    for ours, theirs in zip(found, expected, strict=True):
        scores = {each["label"]: each["score"] for each in theirs}
        assert {each["label"]: each["score"] for each in ours} == pytest.approx(scores, abs=10 * NEAR)
        assert [each["score"] for each in ours] == sorted((each["score"] for each in ours), reverse=True)


def test_bfloat16_is_held_to_the_floor_too(made):
    if not machine_class().has_bfloat16:
        pytest.skip("this CPU has no bfloat16")
    model = made("reranker")
    wanted = EngineSettings(backend="openvino", precision="bfloat16")
    with pytest.raises(PermanentError, match=r"scores differ by .* order correlates by .* below the floor 0\.99999"):
        model.steps.build(model.export, wanted, minimum_cosine=0.99999)
    assert model.steps.build(model.export, wanted, minimum_cosine=0.98).precision == "bfloat16"


def test_batches_change_no_score(made):
    loaded = made("reranker").loaded
    pairs = [(QUERY, text) for text in TEXTS]
    ids = loaded.tokenizer.encode_within(pairs, 128)
    assert {len(each) for each in ids} > {128}
    alone = np.concatenate([loaded.engine.embed(Batch([each])) for each in ids])
    assert np.abs(loaded.engine.embed(Batch(ids)) - alone).max() < 10 * NEAR


def _same(logits):
    return logits
