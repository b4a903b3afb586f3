"""The golden texts: enough of them, of all kinds and lengths, affordable in fp32."""

import unicodedata

import pytest

from embedplane_server.export.golden import load_golden_texts


def count(text: str) -> int:
    return len(text.split()) + 2


@pytest.mark.parametrize("window", [32, 128, 256, 512, 2048, 4096, 8192, 32768])
def test_there_are_enough_texts_of_every_length(window):
    texts = load_golden_texts().up_to(window, count)
    lengths = sorted(min(count(text), window) for text in texts)
    assert len(texts) >= 256
    assert lengths[0] <= 3
    assert {length for length in (8, 64, 256, 512) if length < window} <= set(lengths)
    assert lengths[-1] == min(window, 8192)
    assert sum(length > 2048 for length in lengths) <= 2


def test_one_text_is_longer_than_the_window():
    assert sum(count(text) > 512 for text in load_golden_texts().up_to(512, count)) == 1


def test_the_texts_are_the_same_every_time_and_all_different():
    texts = load_golden_texts().up_to(512, count)
    assert texts == load_golden_texts().up_to(512, count)
    assert len(set(texts)) == len(texts)
    assert all(texts)


def test_the_texts_are_of_many_scripts_and_hold_what_users_send():
    written = "".join(load_golden_texts().texts)
    scripts = {unicodedata.name(letter, "").split()[0] for letter in written if letter.isalpha()}
    expected = (
        "LATIN GREEK CYRILLIC ARABIC HEBREW DEVANAGARI BENGALI TAMIL TELUGU KANNADA MALAYALAM GUJARATI GURMUKHI "
        "SINHALA THAI LAO KHMER MYANMAR TIBETAN GEORGIAN ARMENIAN ETHIOPIC CHEROKEE TIFINAGH CJK "
        "HIRAGANA KATAKANA HANGUL"
    )
    assert set(expected.split()) <= scripts
    assert {"Cc", "Cf", "Co", "Cn", "Mn", "Nd", "No", "Sm", "So", "Zl", "Zp"} <= {
        unicodedata.category(character) for character in written
    }


@pytest.mark.parametrize(("prompts", "texts"), [(0, 0), (1, 6), (3, 18), (20, 60), (100, 100)])
def test_every_prompt_stands_before_a_few_texts(prompts, texts):
    names = [f"prompt {number}: " for number in range(prompts)]
    found = load_golden_texts().behind(names)
    assert len(found) == texts
    assert {each.prompt for each in found} == set(names)
    assert len({each.text for each in found}) >= min(texts, 6)
    assert all(each.whole == each.prompt + each.text for each in found)


def test_the_same_prompt_under_two_names_counts_once():
    assert len(load_golden_texts().behind(["query: ", "query: "])) == 6
