"""Which models take texts that share rows, and that their vectors are those of sentence-transformers.

With every kind of pooling behind them: test_chains_of_modules.
"""

import random
from pathlib import Path

import numpy as np
import pytest

from embedplane_server.engines.base import Batch
from embedplane_server.engines.openvino import OpenVinoEngine, OpenVinoOptions
from embedplane_server.engines.packing import packed
from embedplane_server.engines.padding import padded_length
from tests.support.allocated import has_mallinfo, megabytes_in_use
from tests.support.classifiers import SHAPE
from tests.support.reference import cosines, minilm_folder

pytestmark = pytest.mark.model

WINDOW = 96
FLAT = {"vocab_size": 30522, "max_position_embeddings": WINDOW + 2}
# Weights as wide as these make position and neighbourhood count, so that a model that is laid out wrongly shows it.
ARCHITECTURES = {
    "bert": {**SHAPE, **FLAT},
    "roberta": {**SHAPE, **FLAT, "pad_token_id": 1, "type_vocab_size": 1},
    "xlm-roberta": {**SHAPE, **FLAT, "pad_token_id": 1, "type_vocab_size": 1},
    "mpnet": {**SHAPE, **FLAT, "pad_token_id": 1},
    "distilbert": {**FLAT, "dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128, "initializer_range": 0.2},
}
OTHERS = {
    "qwen3": {**SHAPE, **FLAT, "num_key_value_heads": 2, "head_dim": 16},
    "modernbert": {**SHAPE, **FLAT, "local_attention": 16, "pad_token_id": 0},
}


def model_of(folder: Path, architecture: str, config: dict):
    import torch  # noqa: PLC0415 -- takes seconds to import
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 -- as above
    from sentence_transformers.base.modules import Normalize  # noqa: PLC0415 -- as above
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer  # noqa: PLC0415 -- as above
    from transformers import AutoConfig, AutoModel, AutoTokenizer  # noqa: PLC0415 -- as above

    torch.manual_seed(5)
    AutoModel.from_config(AutoConfig.for_model(architecture, **config)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(minilm_folder()).save_pretrained(folder)
    transformer = Transformer(str(folder))
    transformer.max_seq_length = WINDOW
    return SentenceTransformer(
        modules=[transformer, Pooling(transformer.get_embedding_dimension(), "mean"), Normalize()], device="cpu"
    ).eval()


def token_ids() -> list[list[int]]:
    dice = random.Random(7)
    return [[dice.randint(1000, 30000) for _ in range(length)] for length in [5, 3, 30, 12, 1, 64, 17, 9, 40, 96, 22]]


def reference_vectors(model, texts) -> np.ndarray:
    import torch  # noqa: PLC0415 -- takes seconds to import

    with torch.inference_mode():
        rows = [torch.tensor([ids]) for ids in texts]
        return np.concatenate(
            [model({"input_ids": row, "attention_mask": torch.ones_like(row)})["sentence_embedding"] for row in rows]
        )


def packed_engine(model, folder: Path) -> OpenVinoEngine:
    from embedplane_server.export import graph, packing  # noqa: PLC0415 -- imports torch

    outputs = graph.EMBEDDING_WITH_TOKENS.outputs
    chain = packing.packed_chain(model, outputs, token_ids())
    assert chain is not None, "texts cannot share rows"
    path = folder / "graph.xml"
    graph.write_openvino(packing.trace(chain), packing.signature_of(outputs), path)
    return OpenVinoEngine(path, OpenVinoOptions("float32", 2))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_texts_that_share_rows_get_the_vectors_that_they_have_alone(tmp_path, architecture):
    model = model_of(tmp_path, architecture, ARCHITECTURES[architecture])
    engine = packed_engine(model, tmp_path)
    texts = token_ids()
    expected = reference_vectors(model, texts)
    assert engine.row_tokens == 64
    for batch in (texts, [ids for ids in texts if len(ids) <= 32]):
        rows = [texts.index(ids) for ids in batch]
        assert cosines(engine.embed(Batch(batch)), expected[rows]).min() > 0.99999
    alone = np.concatenate([engine.embed(Batch([ids], alone=True)) for ids in texts])
    assert cosines(alone, expected).min() > 0.99999


def test_empty_rows_below_the_texts_change_no_vector(tmp_path):
    model = model_of(tmp_path, "bert", ARCHITECTURES["bert"])
    dice = random.Random(9)
    texts = [[dice.randint(1000, 30000) for _ in range(60)] for _ in range(13)]
    assert packed(texts)["owners"].max(axis=1).tolist() == [*range(13), -1]
    found = packed_engine(model, tmp_path).embed(Batch(texts))
    assert cosines(found, reference_vectors(model, texts)).min() > 0.99999


def test_vectors_of_single_tokens_are_found_again_in_the_rows(tmp_path):
    engine = packed_engine(model_of(tmp_path, "bert", ARCHITECTURES["bert"]), tmp_path)
    texts = token_ids()
    together = engine.embed(Batch(texts, every_token=True))
    alone = np.concatenate([engine.embed(Batch([ids], every_token=True)) for ids in texts])
    assert together.shape == (sum(map(len, texts)), engine.token_dimensions)
    assert np.abs(together - alone).max() < 1e-4


@pytest.mark.parametrize("architecture", OTHERS)
def test_a_model_whose_tokens_do_not_see_all_of_their_text_keeps_rows_of_its_own(tmp_path, architecture):
    from embedplane_server.export import packing  # noqa: PLC0415 -- imports torch

    model = model_of(tmp_path, architecture, OTHERS[architecture])
    assert packing.packed_chain(model, ("sentence_embedding",), token_ids()) is None


def engine_of_one_text_a_row(model, folder: Path, threads: int = 2) -> OpenVinoEngine:
    from embedplane_server.export import graph  # noqa: PLC0415 -- imports torch

    path = folder / "graph.xml"
    graph.write_openvino(graph.trace(model, graph.EMBEDDING_WITH_TOKENS), graph.EMBEDDING_WITH_TOKENS, path)
    return OpenVinoEngine(path, OpenVinoOptions("float32", threads))


def test_an_engine_from_before_rows_were_shared_is_served_as_it_was(tmp_path):
    model = model_of(tmp_path, "bert", ARCHITECTURES["bert"])
    engine = engine_of_one_text_a_row(model, tmp_path)
    assert engine.row_tokens is None
    assert cosines(engine.embed(Batch(token_ids())), reference_vectors(model, token_ids())).min() > 0.99999


@pytest.mark.skipif(not has_mallinfo(), reason="only glibc counts what is in use")
def test_what_is_kept_for_shapes_of_batches_is_bounded(tmp_path):
    engine = engine_of_one_text_a_row(model_of(tmp_path, "bert", ARCHITECTURES["bert"]), tmp_path, threads=1)
    lengths = sorted({padded_length(length) for length in range(1, WINDOW + 1)})
    shapes = [(texts, length) for texts in range(1, 60) for length in lengths]
    random.Random(3).shuffle(shapes)
    for texts, length in [(60, WINDOW), *shapes[:1000]]:
        engine.embed(Batch([[4] * length] * texts))
    before = megabytes_in_use()
    for texts, length in shapes[1000:]:
        engine.embed(Batch([[4] * length] * texts))
    assert len(shapes) > 1250
    assert megabytes_in_use() - before < 15  # 45 without a bound
