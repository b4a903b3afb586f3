"""How texts are spelled in tokens, and tokens in text, for people and tools that want to look. Embeds nothing."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Protocol

from embedplane_server.embedding import chunks
from embedplane_server.options import RequestLimits
from embedplane_server.prompts import Prompts
from embedplane_server.refusals import EmptyInput, ForeignTokens, TooManyInputs, TooManyTokens
from embedplane_server.tokenization import Fitted, Side, Token

MOST_TOKENS = 65_536
"""More is nothing that anybody looks at, and takes ten times the memory of the text."""


class Speller(Protocol):
    """What this module needs of `tokenization.Tokenizer`."""

    @property
    def vocabulary_size(self) -> int:
        """Ids are smaller than this."""
        ...

    def fit(self, texts: Sequence[str], window: int, side: Side) -> list[Fitted]:
        """Return each text cut to the window on a side; the special tokens stay."""
        ...

    def tokens(self, texts: Sequence[str], *, special: bool) -> list[list[Token]]:
        """Return the tokens of each text and where in it they stand."""
        ...

    def decode(self, token_ids: Sequence[Sequence[int]], *, skip_special: bool) -> list[str]:
        """Return the text of each list of ids."""
        ...

    def head(self, text: str, tokens: int) -> str:
        """Return the beginning of a text that has so many tokens, or all of it; special tokens do not count."""
        ...


class Spelling:
    """Off the event loop, within the limits of a request."""

    def __init__(self, speller: Speller, limits: RequestLimits, prompts: Prompts, threads: Executor) -> None:
        self._speller = speller
        self._limits = limits
        self._most_tokens = min(limits.max_tokens, MOST_TOKENS)
        self._prompts = prompts
        self._threads = threads

    async def tokens(self, texts: Sequence[str], *, special: bool, prompt_name: str | None) -> list[list[Token]]:
        """Return the tokens of each text, the prompt before it as when it is embedded."""
        self._check_count(texts)
        prompt = self._prompts.text(prompt_name)
        loop = asyncio.get_running_loop()
        found: list[list[Token]] = []
        room = self._most_tokens
        for chunk in chunks([prompt + text for text in texts]):
            spell = partial(self._spell, chunk, special=special, room=room)
            found += await loop.run_in_executor(self._threads, spell)
            room = self._most_tokens - sum(map(len, found))
        return found

    def _spell(self, texts: Sequence[str], *, special: bool, room: int) -> list[list[Token]]:
        """Return the tokens of texts unless they are more than there is room for, which is found out without them."""
        fitted = self._speller.fit(texts, max(room, 1), "right")
        if (tokens := sum(each.tokens for each in fitted)) > room:
            raise TooManyTokens(self._most_tokens - room + tokens, self._most_tokens, is_counted=False)
        return self._speller.tokens(texts, special=special)

    async def texts(self, token_ids: Sequence[Sequence[int]], *, skip_special: bool) -> list[str]:
        """Return the text of each list of ids."""
        self._check_count(token_ids)
        if (tokens := sum(map(len, token_ids))) > self._limits.max_tokens:
            raise TooManyTokens(tokens, self._limits.max_tokens)
        size = self._speller.vocabulary_size
        if any(token_id >= size for ids in token_ids for token_id in ids):
            raise ForeignTokens(f"ids must be less than {size}")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, lambda: self._speller.decode(token_ids, skip_special=skip_special)
        )

    async def heads(self, texts: Sequence[str], tokens: int) -> list[str]:
        """Return of each text no more than its first tokens; no text has more of them than one may be spelled in."""
        self._check_count(texts)
        loop = asyncio.get_running_loop()
        found: list[str] = []
        for chunk in chunks(texts):
            found += await loop.run_in_executor(self._threads, self._heads, chunk, min(tokens, self._most_tokens))
        return found

    def _heads(self, texts: Sequence[str], tokens: int) -> list[str]:
        return [self._speller.head(text, tokens) for text in texts]

    def _check_count(self, inputs: Sequence[object]) -> None:
        if not inputs:
            raise EmptyInput
        if len(inputs) > self._limits.max_inputs:
            raise TooManyInputs(len(inputs), self._limits.max_inputs)
