"""The golden texts: enough of them, of all lengths, affordable in fp32."""

import pytest

from embedplane_server.export.golden import load_golden_texts


def count(text: str) -> int:
    return len(text.split()) + 2


@pytest.mark.parametrize("window", [32, 128, 256, 512, 2048, 4096, 8192, 32768])
def test_there_are_enough_texts_of_every_length(window):
    texts = load_golden_texts().up_to(window, count)
    lengths = sorted(min(count(text), window) for text in texts)
    assert len(texts) >= 64
    assert lengths[0] <= 3
    assert lengths[-1] >= min(window, 8192) * 0.95
    assert lengths[-1] <= 8192
    assert sum(length > 2048 for length in lengths) <= 2


def test_one_text_is_longer_than_the_window():
    assert sum(count(text) > 512 for text in load_golden_texts().up_to(512, count)) == 1


def test_the_texts_are_the_same_every_time_and_all_different():
    texts = load_golden_texts().up_to(512, count)
    assert texts == load_golden_texts().up_to(512, count)
    assert len(set(texts)) == len(texts)
    assert all(texts)
