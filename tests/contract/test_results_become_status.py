"""What the server's steps report, the operator reads into the status, for models of every kind."""

import pytest

from embedplane_operator.decide.resolution import read_engine
from embedplane_operator.render.tensorrt_llm import Exactness, read_exactness
from embedplane_server.builders.manifest import EngineManifest
from embedplane_server.results import (
    ConformanceResult,
    FetchResult,
    TensorRtLlmResult,
    set_aside_results,
    vector_space_result,
)
from embedplane_server.store import SetAside
from tests.support.fake_engine import classifying_manifest, engine_manifest
from tests.support.rendering import model_of, settings_of
from tests.support.world import World

PARTS = {"weights": "0" * 12, "prompts": "1" * 12}
SCORES = ConformanceResult(
    texts=76, minimum_cosine=0.9995, mean_cosine=0.9999, maximum_difference=0.003, rank_correlation=0.9998
)
VECTORS = ConformanceResult(
    texts=402,
    own_texts=76,
    minimum_cosine=0.9995,
    mean_cosine=0.9999,
    first_percentile_cosine=0.9996,
    maximum_norm_difference=0.001,
    neighbor_overlap=0.98,
    minimum_batch_cosine=0.9997,
)
MANIFESTS = {
    "embedding": engine_manifest(prompts={"query": "query: "}),
    "embedding, own texts": engine_manifest(conformance=VECTORS),
    "reranker": classifying_manifest("LABEL_0", activation="sigmoid", conformance=SCORES),
    "classifier": classifying_manifest("no", "yes", "perhaps", conformance=SCORES),
}


def fetched(manifest: EngineManifest) -> FetchResult:
    return FetchResult(
        commit="c0ffee",
        digest="d1",
        size_bytes=7,
        architecture=manifest.description.architecture,
        vector_space=vector_space_result(manifest.description, parts=PARTS),
        export_keys={},
        engine=manifest.result(),
    )


@pytest.mark.parametrize("kind", MANIFESTS)
async def test_a_model_of_every_kind_becomes_ready_and_its_status_says_what_it_is(kind: str) -> None:
    world, manifest = World(), MANIFESTS[kind]
    described = manifest.description
    world.model()
    await world.settle()
    world.finish("fetch", fetched(manifest).as_document())
    await world.settle()
    world.make_ready()
    await world.settle()

    assert world.says("Ready") == ("True", "Serving")
    space, conformance = world.status["vectorSpace"], world.status["engine"]["conformance"]
    assert world.status["source"]["architecture"] == described.architecture
    assert (space["id"], space["task"]) == (manifest.vector_space, described.task)
    assert (space["dimensions"], space.get("pooling")) == (described.dimensions, described.pooling)
    assert space["parts"] == PARTS
    assert conformance == manifest.conformance.as_document()


def test_damaged_entries_that_a_build_set_aside_stand_in_the_status_of_its_engine() -> None:
    put = [SetAside("engines/en1-0/v", "model.bin differs", "quarantine/20261126T000000Z-0a1b2c3d")]
    result = engine_manifest().result().model_copy(update={"set_aside": set_aside_results(put)})
    model = model_of({"source": {"huggingFace": {"repo": "a/b"}}})
    engine = read_engine(model, settings_of(), "vs1-0", result.as_document())
    assert engine.set_aside is not None
    assert [(each.entry, each.place) for each in engine.set_aside] == [(put[0].name, put[0].place)]


def test_what_a_fetch_says_of_tensorrt_llm_is_understood() -> None:
    told = TensorRtLlmResult(is_exact=True, reason="bert, gelu")
    result = fetched(MANIFESTS["embedding"]).model_copy(update={"tensorrt_llm": told})

    assert read_exactness(result.as_document()) == Exactness(is_exact=True, reason="bert, gelu")
