"""Texts to token ids, exactly as sentence-transformers makes them for the same model.

Wraps the `tokenizers` library; what a tokenizer.json says about padding and lengths is not used: a server decides that
itself. Knows no HTTP, no queue and no prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tokenizers

Side = Literal["left", "right"]
"""The end of a text that falls away when it is cut."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text; `start` and `stop` count characters, and special tokens stand nowhere in the text."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class Tokenizer:
    """Token ids of texts, special tokens included. Nothing changes after creation, so threads may share one."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        direction = str((tokenizer.truncation or {}).get("direction", "right")).lower()
        self.cut_side: Side = "left" if direction == "left" else "right"
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._special_tokens = int(tokenizer.num_special_tokens_to_add(is_pair=False))

    @property
    def vocabulary_size(self) -> int:
        """Ids are smaller than this."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, special tokens included, neither padded nor truncated."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def encode_within(self, texts: Sequence[str], window: int) -> list[list[int]]:
        """Return the ids of each text, cut to the window as sentence-transformers cuts them."""
        pairs = zip(self.encode(texts), texts, strict=True)
        return [ids if len(ids) <= window else self.cut(text, window, self.cut_side) for ids, text in pairs]

    def cut(self, text: str, window: int, side: Side) -> list[int]:
        """Return the ids of a text that is longer than the window, cut on a side; the special tokens stay."""
        # Cut before the special tokens are added, as the library's own truncation does.
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        encoding.truncate(max(window - self._special_tokens, 0), direction=side)
        return list(self._tokenizer.post_process(encoding).ids)

    def tokens(self, texts: Sequence[str], *, special: bool) -> list[list[Token]]:
        """Return the tokens of each text and where in it they stand."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=special)
        return [_tokens(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]

    def decode(self, token_ids: Sequence[Sequence[int]], *, skip_special: bool) -> list[str]:
        """Return the text of each list of ids."""
        return list(self._tokenizer.decode_batch([list(ids) for ids in token_ids], skip_special_tokens=skip_special))


def _tokens(text: str, encoding: tokenizers.Encoding) -> list[Token]:
    columns = zip(encoding.ids, encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True)
    return [
        Token(token_id, token, True, None, None) if special else Token(token_id, text[start:stop], False, start, stop)
        for token_id, token, special, (start, stop) in columns
    ]


def load_tokenizer(path: Path) -> Tokenizer:
    """Load a tokenizer.json."""
    return Tokenizer(tokenizers.Tokenizer.from_file(str(path)))
