"""Texts to token ids, exactly as sentence-transformers makes them for the same model.

Wraps the `tokenizers` library; what a tokenizer.json says about padding and lengths is not used: a server decides that
itself. How little of a very long text is looked at stands in `long_texts.py`. Knows no HTTP, no queue and no prompts.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers

from embedplane_server.long_texts import Piece, Side, first_look, last_look
from embedplane_server.refusals import TextTooLong

__all__ = ["Fitted", "Side", "Token", "Tokenizer", "load_tokenizer"]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A text cut to a window: its ids, special tokens included, and what it has without the cut."""

    ids: list[int]
    tokens: int
    is_counted: bool = True
    """Whether it has exactly so many tokens; of a very long text it is known that it has at least so many."""


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
        return [fitted.ids for fitted in self.fit(texts, window, self.cut_side)]

    def fit(self, texts: Sequence[str], window: int, side: Side) -> list[Fitted]:
        """Return each text cut to the window on a side; the special tokens stay.

        Of a text that is much longer than the window only one end is tokenised, with the same result. Raises
        `TextTooLong` for one that might fit into the window, but has too many characters to find out.
        """
        look = first_look(window)
        short = iter(self.encode([text for text in texts if len(text) <= look]))
        return [
            self._fit_whole(text, next(short), window, side)
            if len(text) <= look
            else self._fit_long(text, window, side)
            for text in texts
        ]

    def _fit_whole(self, text: str, ids: list[int], window: int, side: Side) -> Fitted:
        if len(ids) <= window:
            return Fitted(ids, len(ids))
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return Fitted(self._cut(encoding, window, side), len(ids))

    def _fit_long(self, text: str, window: int, side: Side) -> Fitted:
        look = first_look(window)
        while look < min(len(text), last_look(window)):
            piece = Piece(self._tokenizer, text, look, side)
            if (least := piece.settled + self._special_tokens) > window:
                return Fitted(self._cut(piece.encoding, window, side), least, is_counted=False)
            look *= 2
        if len(text) > last_look(window):
            raise TextTooLong(len(text), last_look(window), window)
        return self._fit_whole(text, self.encode([text])[0], window, side)

    def _cut(self, encoding: tokenizers.Encoding, window: int, side: Side) -> list[int]:
        # Cut before the special tokens are added, as the library's own truncation does.
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
    """Load a tokenizer.json; the library's own threads stay off unless the environment wants them.

    The cores belong to the engine, and handing a request's texts round costs a fifth more CPU time than it saves.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return Tokenizer(tokenizers.Tokenizer.from_file(str(path)))
