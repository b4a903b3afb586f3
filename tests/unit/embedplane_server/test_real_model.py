"""The real MiniLM through fetch, export and build in one process, held against sentence-transformers."""

import asyncio
import shutil
from dataclasses import replace

import httpx
import numpy as np
import pytest

from embedplane_server.app import create_app
from embedplane_server.builders.machine import machine_class
from embedplane_server.builders.manifest import engine_entry, read_manifest
from embedplane_server.engines.base import Batch
from embedplane_server.engines.load import load_engine
from embedplane_server.errors import EngineCorrupt, PermanentError, VectorDrift
from embedplane_server.export.manifest import TOKENIZER, find_export
from embedplane_server.serve import load
from embedplane_server.settings import EngineSettings, Source
from embedplane_server.store import open_store
from embedplane_server.tokenization import load_tokenizer
from tests.support.damage import with_digests_made_anew
from tests.support.fake_engine import serve_settings
from tests.support.reference import cosines, minilm_folder, reference_model
from tests.support.steps import Steps
from tests.support.texts import texts_up_to

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    return Steps(f"file://{tmp_path_factory.mktemp('store')}", Source(path=minilm_folder()))


@pytest.fixture(scope="module")
def wide(steps):
    """MiniLM with a window of 512 tokens: what fetch says, the export's key, the engine."""
    fetched = steps.fetch(max_sequence_length=512)
    key = steps.export(fetched, max_sequence_length=512)
    return fetched, key, steps.build(key)


def test_an_engine_is_proven_and_published(wide):
    _, _, built = wide
    assert built.conformance.texts >= 64
    assert built.conformance.minimum_cosine >= 0.999
    assert built.variant == machine_class().variant
    assert 512 <= built.max_batch_tokens <= 2048


def test_a_second_fetch_finds_export_and_engine(steps, wide):
    _, key, built = wide
    again = steps.fetch(max_sequence_length=512)
    assert again.export_keys == {"openvino": key}
    assert again.engine == built


def test_steps_whose_output_is_in_the_store_are_skipped(steps, wide):
    fetched, key, built = wide
    steps.told.truncate(0)
    assert steps.export(fetched, max_sequence_length=512) == key
    assert steps.build(key) == built
    told = steps.told.getvalue()
    assert told.count("is in the store") == 2
    assert "tracing" not in told
    assert "compiling" not in told


def test_a_token_budget_of_the_settings_is_reported_but_makes_no_other_engine(steps, wide):
    _, key, built = wide
    assert steps.build(key, max_batch_tokens=777) == built.model_copy(update={"max_batch_tokens": 777})


@pytest.fixture(scope="module")
def expected():
    """Texts of one token to beyond the window: their ids and vectors by sentence-transformers."""
    texts = texts_up_to(600, 50)
    reference = reference_model(512)
    ids = [reference.preprocess([text])["input_ids"][0].tolist() for text in texts]
    return texts, ids, reference.encode(texts, batch_size=1)


def test_token_ids_equal_sentence_transformers(steps, wide, expected):
    texts, ids, _ = expected
    tokenizer = load_tokenizer(steps.directory(wide[2]) / TOKENIZER)
    assert tokenizer.encode_within(texts, 512) == ids


async def test_prompts_cuts_and_dimensions_equal_sentence_transformers_over_http(steps, wide, expected):
    texts = expected[0][::5]
    directory = await asyncio.to_thread(steps.directory, wide[2])
    manifest = read_manifest(directory)
    description = replace(manifest.description, prompts={"query": "Find what answers: "})
    application = create_app(
        serve_settings(dimensions={"allowed": [128]}),
        load_engine(directory, 2),
        load_tokenizer(directory / TOKENIZER),
        manifest.model_copy(update={"description": description}),
    )
    body = {"input": texts, "input_type": "search_query", "truncate": True, "dimensions": 128}
    async with (
        application.running(),
        httpx.AsyncClient(transport=httpx.ASGITransport(application.asgi), base_url="http://server") as client,
    ):
        answer = await client.post("/v1/embeddings", json=body)
    reference = reference_model(512)
    prompted = [description.prompts["query"] + text for text in texts]
    lengths = [len(reference.preprocess([text])["input_ids"][0]) for text in prompted]
    vectors = reference.encode(
        texts, prompt=description.prompts["query"], truncate_dim=128, normalize_embeddings=True, batch_size=1
    )
    found = np.array([entry["embedding"] for entry in answer.json()["data"]], dtype=np.float32)
    assert answer.json()["usage"]["prompt_tokens"] == sum(lengths)
    assert int(answer.headers["x-embedplane-truncated"]) == sum(length == 512 for length in lengths) > 0
    assert cosines(found, vectors).min() >= 0.999
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-6)


@pytest.mark.parametrize("threads", [1, 8])
def test_vectors_of_tokens_equal_sentence_transformers_and_weights_are_stored_once(steps, wide, expected, threads):
    texts, ids, _ = expected
    reference = reference_model(512)
    theirs = reference.encode(texts, output_value="token_embeddings", batch_size=1, convert_to_numpy=False)
    directory = steps.directory(wide[2])
    engine = load_engine(directory, threads)
    before = engine.embed(Batch(ids[:8]))
    rows = engine.embed(Batch(ids, every_token=True))
    assert cosines(rows, np.concatenate([each.numpy() for each in theirs])).min() >= 0.999
    assert np.array_equal(engine.embed(Batch(ids[:8])), before)
    engine.close()
    weights = sum(file.stat().st_size for file in directory.rglob("*.bin"))
    assert weights < 1.05 * (minilm_folder() / "model.safetensors").stat().st_size


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_vectors_equal_sentence_transformers_alone_and_in_mixed_batches(steps, wide, expected, threads):
    _, ids, vectors = expected
    engine = load_engine(steps.directory(wide[2]), threads)
    alone = np.concatenate([engine.embed(Batch([text])) for text in ids])
    mixed = np.concatenate([engine.embed(Batch(ids[start::5])) for start in range(5)])
    order = [row for start in range(5) for row in range(start, 50, 5)]
    engine.close()
    assert alone.dtype == np.float32
    assert cosines(alone, vectors).min() >= 0.999
    assert cosines(mixed, vectors[order]).min() >= 0.999


def test_an_engine_below_the_floor_is_not_published(steps, wide):
    _, key, _ = wide
    if not machine_class().has_bfloat16:
        pytest.skip("only bfloat16 is inexact enough, and this CPU has none")
    with pytest.raises(PermanentError, match=r"below the floor 1\.0.*float32") as caught:
        steps.build(key, EngineSettings(backend="openvino", precision="bfloat16"), minimum_cosine=1.0)
    assert caught.value.reason == "ConformanceFailed"
    engines = asyncio.run(open_store(steps.store).names("engines"))
    assert len(engines) == 1


def test_float32_is_an_engine_of_its_own(steps, wide):
    _, key, automatic = wide
    exact = steps.build(key, EngineSettings(backend="openvino", precision="float32"))
    assert exact.key != automatic.key
    assert exact.conformance.minimum_cosine >= 0.999999


def test_other_poolings_prompts_and_no_normalisation_are_exported_exactly(steps):
    steps = replace(steps, has_few_texts=True)
    overrides = {
        "pooling": "cls",
        "normalize": False,
        "prompts": {"query": "find: "},
        "default_prompt": "query",
        "max_sequence_length": 64,
    }
    fetched = steps.fetch(**overrides)
    assert (fetched.vector_space.pooling, fetched.vector_space.normalized) == ("cls", False)
    built = steps.build(steps.export(fetched, **overrides))
    assert built.conformance.minimum_cosine >= 0.999
    found = asyncio.run(find_export(open_store(steps.store), steps.export(fetched, **overrides)))
    assert found is not None
    assert found[0].description.default_prompt_text == "find: "


def test_flipped_bits_in_the_weights_of_an_engine_keep_a_server_from_starting(steps, wide, tmp_path):
    fetched, _, built = wide
    entry = steps.directory(built).parent
    copied = tmp_path / "store" / engine_entry(built.key, built.variant)
    shutil.copytree(entry, copied)
    (weights,) = copied.rglob("model.bin")
    content = np.fromfile(weights, dtype=np.uint8)
    content[len(content) * 3 // 4 :][: 1 << 20] ^= 0x40  # in a layer's matrix
    content.tofile(weights)
    settings = serve_settings(
        store=(tmp_path / "store").as_uri(), engine_key=built.key, vector_space=fetched.vector_space.id
    )
    with pytest.raises(EngineCorrupt, match=r"model\.bin is missing or differs"):
        load(settings)
    with_digests_made_anew(copied)
    with pytest.raises(VectorDrift, match="16 texts"):
        load(settings)
