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


@pytest.mark.parametrize("window", [3, 4, 5, 6, 7, 10, 11, 64])
@pytest.mark.parametrize("direction", ["right", "left"])
def test_two_texts_are_cut_as_the_library_cuts_them(window, direction):
    pairs = [(one, other) for one in TEXTS for other in TEXTS]
    reference = word_tokenizer()
    reference.enable_truncation(window, strategy="longest_first", direction=direction)
    expected = reference.encode_batch(pairs)
    ours = word_tokenizer()
    ours.enable_truncation(64, direction=direction)
    found = Tokenizer(ours).encode_within(pairs, window)
    assert found == [encoding.ids for encoding in expected]
    assert [ids.type_ids for ids in found] == [encoding.type_ids for encoding in expected]


def test_the_head_of_a_text_is_its_first_tokens():
    tokenizer = Tokenizer(word_tokenizer())
    assert tokenizer.head("the quick  brown fox", 3) == "the quick  brown"
    assert tokenizer.head("the quick", 3) == "the quick"


def test_the_vocabulary_bounds_the_ids():
    assert Tokenizer(word_tokenizer()).vocabulary_size == len(WORDS)
