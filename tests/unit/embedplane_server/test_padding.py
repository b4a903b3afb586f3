"""How the OpenVINO engine pads and shares a batch."""

import pytest

from embedplane_server.engines.openvino import OpenVinoOptions, padded_length, split_rows


@pytest.mark.parametrize(
    ("length", "padded"), [(1, 8), (8, 8), (9, 16), (64, 64), (65, 80), (256, 256), (257, 288), (512, 512)]
)
def test_lengths_are_padded_to_a_grid(length, padded):
    assert padded_length(length) == padded


def test_the_grid_wastes_little():
    assert all(padded_length(length) - length < 32 for length in range(1, 9000))
    assert sum(padded_length(length) / length for length in range(32, 513)) / 481 < 1.1


def test_a_small_batch_stays_whole():
    assert split_rows([5, 3, 9], 4) == [[1, 0, 2]]


def test_a_large_batch_is_shared_evenly_and_by_length():
    lengths = [10, 500, 20, 480, 30, 490, 40, 470]
    parts = split_rows(lengths, 4)
    assert sorted(row for part in parts for row in part) == list(range(8))
    assert 2 <= len(parts) <= 4
    assert [lengths[row] for part in parts for row in part] == sorted(lengths)


def test_one_text_is_never_split():
    assert split_rows([8000], 4) == [[0]]


@pytest.mark.parametrize(("threads", "streams"), [(1, 1), (2, 1), (7, 1), (8, 2), (16, 4)])
def test_streams_follow_the_threads(threads, streams):
    assert OpenVinoOptions("float32", threads).streams == streams
