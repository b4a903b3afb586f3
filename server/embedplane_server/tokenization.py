"""Texts to token ids, exactly as sentence-transformers makes them for the same model.

Wraps the `tokenizers` library; what a tokenizer.json says about padding and lengths is not used: a server decides that
itself. How little of a very long text is looked at stands in `long_texts.py`. Knows no HTTP, no queue and no prompts.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers

from embedplane_server.engines.base import TypedIds
from embedplane_server.long_texts import Piece, Side, first_look, last_look
from embedplane_server.refusals import TextTooLong

__all__ = ["Fitted", "Side", "Text", "Token", "Tokenizer", "characters", "load_tokenizer", "longest_first"]

Text = str | tuple[str, str]
"""One text, or two that a model reads together."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A text, or two, cut to a window: the ids, special tokens included, and how many there are without the cut."""

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
        self._pair = _Pair(tokenizer)

    @property
    def vocabulary_size(self) -> int:
        """Ids are smaller than this."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def encode(self, texts: Sequence[Text]) -> list[list[int]]:
        """Return the ids of each text, special tokens included, neither padded nor truncated; of two: `TypedIds`."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        return [
            encoding.ids if isinstance(text, str) else TypedIds(encoding.ids, encoding.type_ids)
            for text, encoding in zip(texts, encodings, strict=True)
        ]

    def encode_within(self, texts: Sequence[Text], window: int) -> list[list[int]]:
        """Return the ids of each text, cut to the window as sentence-transformers cuts them."""
        return [fitted.ids for fitted in self.fit(texts, window, self.cut_side)]

    def fit(self, texts: Sequence[Text], window: int, side: Side) -> list[Fitted]:
        """Return each text cut to the window on a side; the special tokens stay.

        Of two texts the longer one is cut until both are of the same length, then both are. Of a text that is much
        longer than the window only one end is tokenised, with the same result; see `_fit_ends`. Raises `TextTooLong`
        for one that might fit into the window, but has too many characters to find out.
        """
        look = first_look(window)
        whole = [max(map(len, _parts(text))) <= look for text in texts]
        short = iter(self.encode([text for text, is_whole in zip(texts, whole, strict=True) if is_whole]))
        return [
            self._fit_whole(text, next(short), window, side) if is_whole else self._fit_ends(text, window, side)
            for text, is_whole in zip(texts, whole, strict=True)
        ]

    def _fit_whole(self, text: Text, ids: list[int], window: int, side: Side) -> Fitted:
        return Fitted(ids, len(ids)) if len(ids) <= window else self._fit_ends(text, window, side)

    def _fit_ends(self, text: Text, window: int, side: Side) -> Fitted:
        """Cut a text, or two, of each of which little more is tokenised than what may stay.

        If each of two is longer than the window and not all of them is counted, an odd token may stay of the other one
        than in the library, where it is the longer one's.
        """
        special = self._special_tokens if isinstance(text, str) else self._pair.special_tokens
        room = max(window - special, 0)
        ends = [self._end(part, room, window, side) for part in _parts(text)]
        tokens = sum(end.tokens for end in ends) + special
        return Fitted(self._joined(ends, room, side), tokens, all(end.is_counted for end in ends))

    def _end(self, text: str, room: int, window: int, side: Side) -> "_End":
        """Return all of a text, or an end of it with more tokens than there is room for."""
        look, last = first_look(window), last_look(window)
        while look < min(len(text), last):
            piece = Piece(self._tokenizer, text, look, side)
            if piece.settled > room:
                return _End(piece.encoding, piece.settled, is_counted=False)
            look *= 2
        if len(text) > last:
            raise TextTooLong(len(text), last, window)
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return _End(encoding, len(encoding.ids), is_counted=True)

    def _joined(self, ends: "Sequence[_End]", room: int, side: Side) -> list[int]:
        # Cut before the special tokens are added, as the library's own truncation does.
        if len(ends) == 1:
            ends[0].encoding.truncate(room, direction=side)
            return list(self._tokenizer.post_process(ends[0].encoding).ids)
        kept = longest_first(ends[0].tokens, ends[1].tokens, room)
        first, second = (_part(end.encoding.ids, count, side) for end, count in zip(ends, kept, strict=True))
        return self._pair.of(first, second)

    def head(self, text: str, tokens: int) -> str:
        """Return the beginning of a text that has so many tokens, or all of it; special tokens do not count."""
        end = self._end(text, tokens, tokens, "right")
        return text if end.tokens <= tokens else text[: end.encoding.offsets[tokens - 1][1]]

    def tokens(self, texts: Sequence[str], *, special: bool) -> list[list[Token]]:
        """Return the tokens of each text and where in it they stand."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=special)
        return [_tokens(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]

    def decode(self, token_ids: Sequence[Sequence[int]], *, skip_special: bool) -> list[str]:
        """Return the text of each list of ids."""
        return list(self._tokenizer.decode_batch([list(ids) for ids in token_ids], skip_special_tokens=skip_special))


@dataclass(frozen=True, slots=True)
class _End:
    """All of a text or one end of it, without special tokens; `tokens` are at least so many where nobody counted."""

    encoding: tokenizers.Encoding
    tokens: int
    is_counted: bool


class _Pair:
    """The special tokens around two texts, and their types, as the library's post-processor sets them.

    It would also join every part that a cut takes off the one with every such part of the other: a million of them.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        one, other = (tokenizer.encode("", add_special_tokens=False) for _ in range(2))
        size = tokenizer.get_vocab_size()
        one.pad(1, pad_id=size)
        other.pad(1, pad_id=size + 1)
        both = tokenizer.post_process(one, other)
        self._first, self._second = both.ids.index(size), both.ids.index(size + 1)
        self._ids, self._types = both.ids, both.type_ids
        self.special_tokens = len(both.ids) - 2

    def of(self, first: list[int], second: list[int]) -> TypedIds:
        """Return two texts as one input."""
        types = [[self._types[place]] * len(ids) for place, ids in ((self._first, first), (self._second, second))]
        return TypedIds(self._with(self._ids, first, second), self._with(self._types, *types))

    def _with(self, around: list[int], first: list[int], second: list[int]) -> list[int]:
        between = around[self._first + 1 : self._second]
        return [*around[: self._first], *first, *between, *second, *around[self._second + 1 :]]


def _part(ids: list[int], count: int, side: Side) -> list[int]:
    return ids[:count] if side == "right" else ids[len(ids) - count :]


def characters(text: Text) -> int:
    """Return the length of a text, or of two together."""
    return sum(map(len, _parts(text)))


def _parts(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


def longest_first(first: int, second: int, limit: int) -> tuple[int, int]:
    """Return what is left of two lengths within a limit, as the `tokenizers` library cuts pairs."""
    if first + second <= limit:
        return first, second
    if first > second:
        return longest_first(second, first, limit)[::-1]
    # The shorter one is first now: it stays whole if it takes half of the limit at most.
    return (first, limit - first) if 2 * first <= limit else (limit // 2, limit - limit // 2)


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
