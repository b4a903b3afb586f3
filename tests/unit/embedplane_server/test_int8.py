"""The real MiniLM in 8 bits: proven like every engine, refused at the default floor, published at a lower one."""

import asyncio
import shutil
from pathlib import Path

import numpy as np
import openvino
import pytest

from embedplane_server.builders import openvino as openvino_builder
from embedplane_server.builders import step
from embedplane_server.builders.backend import Ingredients
from embedplane_server.builders.conformance import load_references, measure
from embedplane_server.builders.int8 import Quantised, Quantiser
from embedplane_server.builders.machine import machine_class
from embedplane_server.builders.manifest import engine_entry
from embedplane_server.builders.openvino import INT8_ERRORS, OpenVinoBuilder
from embedplane_server.builders.verdict import LEAST_BATCH_COSINE, LEAST_NEIGHBOR_OVERLAP
from embedplane_server.engines.base import Batch, Engine
from embedplane_server.engines.load import load_engine
from embedplane_server.errors import PermanentError
from embedplane_server.export.manifest import OPENVINO_GRAPH, need_export
from embedplane_server.settings import EngineSettings, Source
from embedplane_server.store import open_store
from tests.support.reference import cosines, minilm_folder
from tests.support.steps import Steps

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not machine_class().has_int8, reason="this CPU has not the instructions for int8"),
]

INT8 = EngineSettings(backend="openvino", precision="int8")


@pytest.fixture(scope="module")
def steps(minilm, tmp_path_factory):
    """The steps over a copy of the store that the server of other tests was made from."""
    store = tmp_path_factory.mktemp("copy") / "store"
    shutil.copytree(minilm.cache / "embedplane/store", store)
    return Steps(store.as_uri(), Source(path=minilm_folder()), engine=INT8)


@pytest.fixture(scope="module")
def export_key(steps):
    return steps.fetch().export_keys["openvino"]


@pytest.fixture(scope="module")
def made_of(steps, export_key) -> Ingredients:
    found = asyncio.run(need_export(open_store(steps.store), export_key))
    return Ingredients(found.directory, found.about.description)


@pytest.fixture(scope="module")
def export(made_of) -> Path:
    return made_of.export


def entry(steps, name) -> Path:
    return Path(steps.store.removeprefix("file://")) / name


@pytest.fixture(scope="module")
def compared() -> list[Engine]:
    """The engines that were compared with all references while `built` was made."""
    return []


@pytest.fixture(scope="module")
def built(steps, export_key, compared):
    def counted(engine, *arguments, **options):
        compared.append(engine)
        return measure(engine, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        for module in (openvino_builder, step):
            patch.setattr(module, "measure", counted)
        return steps.build(export_key, minimum_cosine=0.99)


def test_at_the_default_floor_it_is_refused(steps, export_key, built):
    with pytest.raises(PermanentError) as caught:
        steps.build(export_key)
    assert caught.value.reason == "ConformanceFailed"
    assert "the int8 engine's" in str(caught.value)
    assert "Set engine.precision: auto, or lower engine.conformance.minimumCosine" in str(caught.value)


def test_no_engine_is_compared_with_the_references_twice(built, compared):
    assert 1 <= len(compared) <= len(INT8_ERRORS)
    assert len({id(engine) for engine in compared}) == len(compared)


def test_at_a_floor_of_99_hundredths_it_is_published(steps, built):
    assert built.precision == "int8"
    assert 0.99 <= built.conformance.minimum_cosine < 0.999
    assert built.conformance.texts > 256
    assert built.conformance.neighbor_overlap > LEAST_NEIGHBOR_OVERLAP
    assert built.conformance.minimum_batch_cosine > LEAST_BATCH_COSINE
    assert steps.fetch().engine == built
    assert entry(steps, engine_entry(built.key, built.variant)).exists()


def test_servers_load_the_graph_that_was_proven(steps, built, export):
    (graph,) = entry(steps, engine_entry(built.key, built.variant)).rglob(OPENVINO_GRAPH)
    weights = Path(OPENVINO_GRAPH).with_suffix(".bin")
    assert (graph.parent / weights).stat().st_size < 0.7 * (export / weights).stat().st_size
    engine = load_engine(graph.parent, threads=1)
    references = load_references(graph.parent)
    vectors = np.concatenate([engine.embed(Batch([ids])) for ids in references.token_ids[:64]])
    engine.close()
    assert cosines(vectors, references.vectors[:64]).min() >= 0.99


def test_every_product_of_it_is_computed_with_whole_numbers(built, export, tmp_path):
    quantiser = Quantiser(export / OPENVINO_GRAPH, load_references(export).token_ids[:40])
    done = quantiser.write(tmp_path / OPENVINO_GRAPH, 0.01)
    assert done == Quantised(products=36, left=0)
    compiled = openvino.compile_model(str(tmp_path / OPENVINO_GRAPH), "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    kinds = [
        node.get_rt_info()["runtimePrecision"].astype(str)
        for node in compiled.get_runtime_model().get_ops()
        if node.get_rt_info()["layerType"].astype(str) == "FullyConnected"
    ]
    assert kinds.count("u8") + kinds.count("i8") == 36


def test_products_that_are_too_far_off_stay_as_they_are(export, tmp_path):
    quantiser = Quantiser(export / OPENVINO_GRAPH, load_references(export).token_ids[:80])
    left = [quantiser.write(tmp_path / OPENVINO_GRAPH, error).left for error in (1, 0.001, 0)]
    assert left[0] == 0
    assert 0 < left[1] < left[2] == 36


def test_more_of_them_stay_until_the_vectors_are_near_enough(made_of, monkeypatch):
    references = load_references(made_of.export).sample(64)
    monkeypatch.setattr(openvino_builder, "load_references", lambda folder: references)
    monkeypatch.setattr(openvino_builder, "INT8_ERRORS", (1.0, 0.0, 0.5))
    monkeypatch.setattr(openvino_builder, "INT8_AIM", 0.9995)
    engine = OpenVinoBuilder(1).compile(made_of, "int8")
    assert measure(engine, references, 32).minimum_cosine > 0.9995
    engine.close()


def test_the_same_graph_comes_out_each_time(export, tmp_path):
    texts = load_references(export).token_ids[:20]
    written = []
    for name in ("one", "two"):
        (folder := tmp_path / name).mkdir()
        Quantiser(export / OPENVINO_GRAPH, texts).write(folder / OPENVINO_GRAPH, 0.01)
        written.append((folder / Path(OPENVINO_GRAPH).with_suffix(".bin")).read_bytes())
    assert written[0] == written[1]


def test_a_builder_keeps_the_exports_own_graph_for_other_precisions(made_of, export, tmp_path, monkeypatch):
    references = load_references(export).sample(16)
    monkeypatch.setattr(openvino_builder, "load_references", lambda folder: references)
    builder = OpenVinoBuilder(1)
    (target := tmp_path / "engine").mkdir()
    for precision, is_same in (("int8", False), ("float32", True)):
        builder.compile(made_of, precision).close()
        assert (builder.conformance is None) is is_same
        builder.keep(made_of, target)
        assert ((target / OPENVINO_GRAPH).read_bytes() == (export / OPENVINO_GRAPH).read_bytes()) is is_same
