"""Texts to token ids, exactly as sentence-transformers makes them for the same model.

Wraps the `tokenizers` library; what a tokenizer.json says about padding and lengths is not used: a server decides that
itself. Knows no HTTP, no queue and no prompts.
"""

from collections.abc import Sequence
from pathlib import Path

import tokenizers


class Tokenizer:
    """Token ids of texts, special tokens included. Nothing changes after creation, so threads may share one."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._cut = str((tokenizer.truncation or {}).get("direction", "right")).lower()
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
        return [ids if len(ids) <= window else self._cut_to(text, window) for ids, text in pairs]

    def _cut_to(self, text: str, window: int) -> list[int]:
        # Cut before the special tokens are added, as the library's own truncation does.
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        encoding.truncate(max(window - self._special_tokens, 0), direction=self._cut)
        return list(self._tokenizer.post_process(encoding).ids)


def load_tokenizer(path: Path) -> Tokenizer:
    """Load a tokenizer.json."""
    return Tokenizer(tokenizers.Tokenizer.from_file(str(path)))
