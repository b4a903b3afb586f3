"""Texts without padding: where each token, position and text lies, by hand."""

import numpy as np
import pytest

from embedplane_server.engines.base import PromptedIds, TypedIds
from embedplane_server.engines.packed_inputs import first_position, packed_inputs, segments
from embedplane_server.engines.tail import Dense, NumpyArrays, Tail, TailRunner, load_tail

TEXTS = [[101, 7, 102], [101, 102], [101, 4, 5, 6, 102]]
STATES = np.array([[1, 8], [2, 7], [3, 6], [4, 5], [5, 4], [6, 3], [7, 2], [8, 1], [9, 0], [10, -1]], np.float32)


def pooled(mode, texts=TEXTS):
    return TailRunner(Tail((mode,)), NumpyArrays()).vectors(STATES, segments(texts)).tolist()


def test_texts_follow_one_another_and_positions_begin_anew():
    tensors = packed_inputs(TEXTS, 0).as_tensors()

    assert tensors["input_ids"].tolist() == [101, 7, 102, 101, 102, 101, 4, 5, 6, 102]
    assert tensors["position_ids"].tolist() == [0, 1, 2, 0, 1, 0, 1, 2, 3, 4]
    assert tensors["token_type_ids"].tolist() == [0] * 10
    assert tensors["input_lengths"].tolist() == [3, 2, 5]
    assert tensors["max_input_length"].shape == (5,)
    assert {array.dtype for array in tensors.values()} == {np.dtype(np.int32)}


def test_positions_of_roberta_begin_behind_that_of_the_padding_token():
    assert first_position("bert", 0) == 0
    assert first_position("roberta", 1) == first_position("xlm-roberta", 1) == 2
    assert packed_inputs(TEXTS, 2).position_ids.tolist() == [2, 3, 4, 2, 3, 2, 3, 4, 5, 6]


def test_the_types_of_a_pair_are_kept():
    pair = TypedIds([101, 7, 102, 8, 102], [0, 0, 0, 1, 1])

    assert packed_inputs([TEXTS[1], pair], 0).token_type_ids.tolist() == [0, 0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("cls", [[1, 8], [4, 5], [6, 3]]),
        ("lasttoken", [[3, 6], [5, 4], [10, -1]]),
        ("mean", [[2, 7], [4.5, 4.5], [8, 1]]),
        ("max", [[3, 8], [5, 5], [10, 3]]),
        ("weightedmean", [[14 / 6, 40 / 6], [14 / 3, 13 / 3], [130 / 15, 5 / 15]]),
        ("mean_sqrt_len_tokens", [[6 / 3**0.5, 21 / 3**0.5], [9 / 2**0.5, 9 / 2**0.5], [40 / 5**0.5, 5 / 5**0.5]]),
    ],
)
def test_each_text_is_pooled_by_itself(mode, expected):
    assert np.allclose(pooled(mode), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("cls", [[2, 7], [4, 5]]),
        ("mean", [[2.5, 6.5], [4.5, 4.5]]),
        ("max", [[3, 7], [5, 5]]),
        ("lasttoken", [[3, 6], [5, 4]]),
    ],
)
def test_prompts_that_are_left_out_are_not_pooled(mode, expected):
    texts = [PromptedIds(TEXTS[0], 1), TEXTS[1]]

    found = TailRunner(Tail((mode,)), NumpyArrays()).vectors(STATES[:5], segments(texts))

    assert np.allclose(found, expected)


def test_a_tail_is_read_as_it_was_written(tmp_path):
    dice = np.random.default_rng(3)
    layers = (
        Dense(
            dice.normal(size=(3, 4)).astype(np.float32),
            None,
            is_tanh=True,
            has_residual=True,
            projection=dice.normal(size=(3, 4)).astype(np.float32),
        ),
        Dense(dice.normal(size=(2, 3)).astype(np.float32), dice.normal(size=2).astype(np.float32), is_tanh=False),
    )
    tail = Tail(("cls", "max"), layers, normalizes=True)
    tail.save(tmp_path)

    expected = TailRunner(tail, NumpyArrays()).vectors(STATES, segments(TEXTS))
    found = TailRunner(load_tail(tmp_path), NumpyArrays()).vectors(STATES, segments(TEXTS))

    assert tail.dimensions(2) == load_tail(tmp_path).dimensions(2) == 2
    assert np.array_equal(found, expected)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
