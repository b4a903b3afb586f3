"""How the OpenVINO engine pads a batch and shares its threads."""

import pytest

from embedplane_server.engines.base import TypedIds
from embedplane_server.engines.openvino import OpenVinoOptions
from embedplane_server.engines.padding import padded, padded_count, padded_length, padded_types


@pytest.mark.parametrize(
    ("length", "padded"),
    [(1, 2), (8, 8), (9, 10), (32, 32), (33, 40), (64, 64), (65, 80), (256, 256), (257, 288), (512, 512)],
)
def test_lengths_are_padded_to_a_grid(length, padded):
    assert padded_length(length) == padded


def test_the_grid_wastes_little():
    assert all(padded_length(length) - length < 32 for length in range(1, 9000))
    assert sum(padded_length(length) / length for length in range(32, 513)) / 481 < 1.1


@pytest.mark.parametrize(
    ("rows", "padded"), [(1, 1), (11, 11), (12, 12), (13, 14), (24, 24), (25, 28), (48, 48), (49, 56), (97, 112)]
)
def test_many_rows_are_filled_up_to_a_grid(rows, padded):
    assert padded_count(rows) == padded


def test_twice_as_many_rows_add_six_numbers_of_rows():
    assert [len({padded_count(rows) for rows in range(1, most + 1)}) for most in (12, 24, 48, 96)] == [12, 18, 24, 30]


def test_ids_mask_and_types_are_rectangles_of_the_same_shape():
    token_ids = [[7, 8, 9], TypedIds([5, 6, 7, 8, 9], [0, 0, 1, 1, 1])]
    inputs = padded(token_ids)
    assert inputs["input_ids"].tolist() == [[7, 8, 9, 0, 0, 0], [5, 6, 7, 8, 9, 0]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0]]
    assert padded_types(token_ids).tolist() == [[0] * 6, [0, 0, 1, 1, 1, 0]]


@pytest.mark.parametrize(("threads", "streams"), [(1, 1), (2, 2), (4, 4), (8, 4), (16, 4), (32, 8)])
def test_streams_follow_the_threads(threads, streams):
    assert OpenVinoOptions("float32", threads).streams == streams
