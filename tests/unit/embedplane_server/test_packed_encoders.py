"""Texts without padding give sentence-transformers' own vectors: encoders of random weights, run packed in torch.

What is checked is the arithmetic around the encoder: ids, positions, lengths, and what becomes of flat hidden states.
"""

import random
from pathlib import Path

import numpy as np
import pytest

from embedplane_server.builders.tail import read_tail
from embedplane_server.engines.packed_inputs import first_position, packed_inputs, segments
from embedplane_server.engines.tail import NumpyArrays, TailRunner
from embedplane_server.model.chain import read_chain
from embedplane_server.model.description import describe
from embedplane_server.model.tensorrt_llm import exactness
from embedplane_server.settings import Overrides
from tests.support.packed_forward import packed_forward
from tests.support.small_encoders import save_encoder

pytestmark = pytest.mark.model

MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
LENGTHS = (5, 3, 30, 12, 1, 60, 17, 9, 40, 2, 22)


def token_ids() -> list[list[int]]:
    dice = random.Random(7)
    return [[dice.randint(1000, 30000) for _ in range(length)] for length in LENGTHS]


def packed_vectors(folder: Path, texts, runner=None):
    import torch  # noqa: PLC0415 -- takes seconds to import
    from transformers import AutoModel  # noqa: PLC0415 -- as above

    config = read_chain(folder).transformer.config
    first = first_position(config["model_type"], config["pad_token_id"])
    tensors = {name: torch.from_numpy(array) for name, array in packed_inputs(texts, first).as_tensors().items()}
    states = packed_forward(AutoModel.from_pretrained(folder).eval(), tensors).numpy()
    runner = runner or TailRunner(read_tail(folder, describe(folder, Overrides())), NumpyArrays())
    return runner.vectors(states, segments(texts))


def reference_vectors(folder: Path, texts):
    import torch  # noqa: PLC0415 -- takes seconds to import
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 -- as above

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True).eval()
    with torch.inference_mode():
        rows = [torch.tensor([ids]) for ids in texts]
        alone = [
            model({"input_ids": row, "attention_mask": torch.ones_like(row)})["sentence_embedding"] for row in rows
        ]
    return torch.cat(alone).numpy()


@pytest.mark.parametrize(
    ("kind", "mode"), [*(("bert", mode) for mode in MODES), ("roberta", "mean"), ("xlm-roberta", "lasttoken")]
)
def test_texts_without_padding_get_the_vectors_that_they_have_alone(tmp_path, kind, mode):
    folder = save_encoder(tmp_path, kind, mode)
    assert exactness(read_chain(folder)).is_exact

    found, expected = packed_vectors(folder, token_ids()), reference_vectors(folder, token_ids())

    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
def test_wrong_positions_would_show(tmp_path, kind, monkeypatch):
    folder, texts = save_encoder(tmp_path, kind, "mean"), token_ids()
    expected = reference_vectors(folder, texts)
    monkeypatch.setitem(globals(), "first_position", lambda *_: 1)

    assert np.abs(packed_vectors(folder, texts) - expected).max() > 1e-3


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("width", [32, 20])
def test_dense_layers_give_the_vectors_of_sentence_transformers(tmp_path, has_bias, width):
    from sentence_transformers.base.modules import Dense  # noqa: PLC0415 -- torch takes seconds to import
    from torch.nn import Identity  # noqa: PLC0415 -- as above

    layers = [
        Dense(64, 32, bias=has_bias),
        Dense(32, width, bias=has_bias, activation_function=Identity(), use_residual=True),
    ]
    folder = save_encoder(tmp_path, "bert", ("cls", "mean"), layers)

    found, expected = packed_vectors(folder, token_ids()), reference_vectors(folder, token_ids())

    assert found.shape == (len(LENGTHS), width)
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("mode", MODES)
def test_torch_computes_what_numpy_does(tmp_path, mode):
    from embedplane_server.engines.torch_arrays import TorchArrays  # noqa: PLC0415 -- torch takes seconds to import

    folder = save_encoder(tmp_path, "bert", mode)
    tail = read_tail(folder, describe(folder, Overrides()))

    class OnTorch:
        def vectors(self, states, places):
            import torch  # noqa: PLC0415 -- as above

            return TailRunner(tail, TorchArrays("cpu")).vectors(torch.from_numpy(states), places).numpy()

    assert np.abs(packed_vectors(folder, token_ids(), OnTorch()) - packed_vectors(folder, token_ids())).max() < 1e-6
