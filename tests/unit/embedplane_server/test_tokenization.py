"""Token ids without padding, and cut to a window as the library itself would cut them."""

import pytest

from embedplane_server.tokenization import Tokenizer, load_tokenizer
from tests.unit.embedplane_server.model_folder import WORDS, word_tokenizer

TEXTS = ["the", "the quick brown fox", "the quick brown fox jumps over a lazy dog", "unheard of", ""]


def test_padding_and_truncation_of_the_file_are_not_used(tmp_path):
    tokenizer = word_tokenizer()
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    ids = load_tokenizer(tmp_path / "tokenizer.json").encode(TEXTS)
    assert [len(text) for text in ids] == [3, 6, 11, 4, 2]
    assert ids[0] == [2, 4, 3]


@pytest.mark.parametrize("window", [3, 4, 5, 6, 10, 11, 64])
@pytest.mark.parametrize("direction", ["right", "left"])
def test_a_long_text_is_cut_as_the_library_cuts_it(window, direction):
    reference = word_tokenizer()
    reference.enable_truncation(window, direction=direction)
    expected = [encoding.ids for encoding in reference.encode_batch(TEXTS)]
    ours = word_tokenizer()
    ours.enable_truncation(64, direction=direction)
    assert Tokenizer(ours).encode_within(TEXTS, window) == expected


def test_the_vocabulary_bounds_the_ids():
    assert Tokenizer(word_tokenizer()).vocabulary_size == len(WORDS)
