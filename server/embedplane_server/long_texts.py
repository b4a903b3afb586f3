"""What of a long text can be told from one end of it: tokenising 1 MiB of dots to refuse them takes half a GiB.

A tokenizer first takes a text apart into words, and the tokens of a word depend on that word only. So the tokens of a
piece are the whole text's, except near the end where it was cut from the rest: those of the last words are unsettled,
because a cut may change where words end, and so is whatever may belong to an added token (`[MASK]`) that was cut.
"""

import re
from bisect import bisect_left, bisect_right
from typing import Literal, cast

import tokenizers
from tokenizers.pre_tokenizers import BertPreTokenizer

Side = Literal["left", "right"]
"""The end of a text that falls away when it is cut."""

WORD_AFTER_SPACE = re.compile(r"[ \t\r\n](?=\S)")
MOST_CHARACTERS = 262_144
MOST_CHARACTERS_PER_TOKEN = 16
FIRST_CHARACTERS = 65_536
FIRST_CHARACTERS_PER_TOKEN = 8
"""Prose has four to five: one look is enough for nearly everything that is too long."""


def first_look(window: int) -> int:
    """Return how many characters are looked at first; a text of no more is tokenised whole."""
    return min(window * FIRST_CHARACTERS_PER_TOKEN, FIRST_CHARACTERS)


def last_look(window: int) -> int:
    """Return how many characters are looked at in the end; a longer text that still seems to fit is refused."""
    return max(window * MOST_CHARACTERS_PER_TOKEN, MOST_CHARACTERS)


class Piece:
    """One end of a text, tokenised without special tokens; `side` is where the rest of the text was cut off."""

    def __init__(self, tokenizer: tokenizers.Tokenizer, text: str, characters: int, side: Side) -> None:
        part = text[:characters] if side == "right" else _from_a_word(tokenizer, text, characters)
        self.encoding = tokenizer.encode(part, add_special_tokens=False)
        self._words = cast("list[int]", self.encoding.word_ids)  # None stands for special tokens only
        added = tokenizer.get_added_tokens_decoder().values()
        margin = max((len(token.content) for token in added), default=0)
        self.settled = self._before(len(part) - margin) if side == "right" else self._after(margin)
        """So many tokens, counted from the other side, are also the whole text's."""

    def _before(self, edge: int) -> int:
        words = self._words
        if not words:
            return 0
        within = bisect_right(self.encoding.offsets, edge, key=lambda offsets: offsets[1])
        return bisect_left(words, words[min(within, len(words) - 1)] - 1)

    def _after(self, edge: int) -> int:
        words = self._words
        if not words:
            return 0
        beyond = bisect_left(self.encoding.offsets, edge, key=lambda offsets: offsets[0])
        return len(words) - bisect_right(words, words[max(beyond - 1, 0)] + 1)


def _from_a_word(tokenizer: tokenizers.Tokenizer, text: str, characters: int) -> str:
    """Return about the last characters of a text, from where any tokenizer begins a word; nothing if there is no place.

    BERT's takes words apart by single characters; others count from a word's beginning, for example digits in threes.
    """
    start = len(text) - characters
    if isinstance(tokenizer.pre_tokenizer, BertPreTokenizer):
        return text[start:]
    found = WORD_AFTER_SPACE.search(text, start, start + characters // 2)
    return text[found.start() :] if found else ""
