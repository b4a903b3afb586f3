"""The portable graph for GPU backends: ONNX of the real MiniLM, run and held against sentence-transformers."""

import asyncio

import numpy as np
import pytest

from embedplane_server.builders.conformance import load_references
from embedplane_server.builders.onnx_fp8 import quantize
from embedplane_server.builders.onnx_precision import LOW, lower
from embedplane_server.engines.padding import padded
from embedplane_server.export.manifest import ONNX_GRAPH, TOKENIZER, export_entry
from embedplane_server.settings import EngineSettings, Source
from embedplane_server.store import open_store
from embedplane_server.tokenization import load_tokenizer
from tests.support.reference import cosines, minilm_folder, reference_model
from tests.support.steps import Steps
from tests.support.tensorrt.reading import running
from tests.support.texts import texts_up_to

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    store = f"file://{tmp_path_factory.mktemp('store')}"
    engine = EngineSettings(backend="tensorrt")
    steps = Steps(store, Source(path=minilm_folder()), engine=engine, format="onnx")
    key = steps.export(steps.fetch())
    return asyncio.run(open_store(store).local_directory(export_entry(key)))


@pytest.mark.parametrize(("precision", "floor"), [("float32", 0.999999), ("float16", 0.9999), ("fp8", 0.985)])
def test_the_onnx_graph_gives_the_vectors_of_sentence_transformers(folder, precision, floor, tmp_path):
    graph = folder / ONNX_GRAPH
    if precision in LOW:
        lower(graph, tmp_path / ONNX_GRAPH, LOW[precision])
        graph = tmp_path / ONNX_GRAPH
    if precision == "fp8":
        quantize(graph, load_references(folder).token_ids)
    texts = texts_up_to(120, 12)
    rows = load_tokenizer(folder / TOKENIZER).encode(texts)

    vectors = running(graph).run(None, padded(rows))[0]

    assert vectors.dtype == np.float32
    assert cosines(vectors, reference_model().encode(texts)).min() >= floor
