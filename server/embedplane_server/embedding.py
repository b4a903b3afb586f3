"""Texts or token ids in, vectors out: what the routes of every API family call. Knows no wire format.

Tokenises off the event loop, holds a request against the model's window and the request limits, and leaves the rest
to `scheduling/`.

RequestRefused     the request as it stands cannot be embedded; `param` names the input
├── EmptyInput     nothing to embed
├── TooManyInputs
├── InputTooLong   one input is longer than the model's window
├── TooManyTokens  all inputs together
└── ForeignTokens  token ids that are not the served model's
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from embedplane_server.engines.base import Vectors
from embedplane_server.scheduling.scheduler import Scheduler

SHORT_CHARACTERS = 512
"""So little is tokenised at once: it takes 0.1 ms, less than handing it to a thread and back."""
TOKENIZER_CHUNK_CHARACTERS = 65_536
"""Texts are tokenised in turns of about this size, so that a huge request does not hold up a short one."""


class RequestRefused(Exception):  # noqa: N818 -- reads as the fact it states
    """The request as it stands cannot be embedded."""

    param = "input"


class EmptyInput(RequestRefused):
    """OpenAI's wording: clients match on it."""

    def __init__(self) -> None:
        super().__init__("'$.input' is invalid: it must not be empty, and neither may any of its texts.")


class TooManyInputs(RequestRefused):
    """More inputs than a request may hold."""

    def __init__(self, inputs: int, limit: int) -> None:
        super().__init__(f"'$.input' is invalid: it has {inputs} inputs, but a request may hold at most {limit}.")


class InputTooLong(RequestRefused):
    """OpenAI's wording: clients match on it."""

    def __init__(self, tokens: int, window: int) -> None:
        super().__init__(
            f"This model's maximum context length is {window} tokens, however you requested {tokens} tokens "
            f"({tokens} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
        )


class TooManyTokens(RequestRefused):
    """OpenAI's wording: clients match on it."""

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(f"Requested {tokens} tokens, max {limit} tokens per request")


class ForeignTokens(RequestRefused):
    """Ids of another tokenizer would give vectors that mean nothing."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"'$.input' holds token ids that are not this model's: {what}. Token ids must come from the served model's "
            "own tokenizer, special tokens included. Send text instead; with LangChain's OpenAIEmbeddings set "
            "check_embedding_ctx_length=False."
        )


class Tokenizer(Protocol):
    """What this module needs of `tokenization.Tokenizer`."""

    @property
    def vocabulary_size(self) -> int:
        """Ids are smaller than this."""
        ...

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, special tokens included, neither padded nor truncated."""
        ...


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may hold."""

    max_sequence_length: int
    max_inputs: int = 2048
    max_tokens: int = 300_000
    max_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Embedding:
    """The vectors of a request, the tokens they took, and where the time went."""

    vectors: Vectors
    tokens: int
    tokenization_seconds: float
    queue_seconds: float
    inference_seconds: float


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The ids that the tokenizer puts around every text."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "SpecialTokens":
        """Find them by comparing nothing with something."""
        nothing, something = (tuple(ids) for ids in tokenizer.encode(["", "a"]))
        shared = next((i for i, (a, b) in enumerate(zip(nothing, something, strict=False)) if a != b), len(nothing))
        return cls(nothing[:shared], nothing[shared:])

    def surround(self, ids: Sequence[int]) -> bool:
        """Tell whether ids begin and end as the tokenizer's own do."""
        head, tail = len(self.before), len(self.after)
        return (
            len(ids) > head + tail and tuple(ids[:head]) == self.before and tuple(ids[len(ids) - tail :]) == self.after
        )


class Embedder:
    """The one way from a request to its vectors."""

    def __init__(
        self, tokenizer: Tokenizer, scheduler: Scheduler, limits: RequestLimits, prompt: str, tokenizers: Executor
    ) -> None:
        self.limits = limits
        self._tokenizer = tokenizer
        self._scheduler = scheduler
        self._prompt = prompt
        self._tokenizers = tokenizers
        self._special = SpecialTokens.of(tokenizer)

    async def embed_texts(self, texts: Sequence[str]) -> Embedding:
        """Embed texts, the default prompt before each."""
        self._check_count(texts)
        if not all(texts):
            raise EmptyInput
        started = time.perf_counter()
        prompted = [self._prompt + text for text in texts] if self._prompt else texts
        token_ids = await self._tokenize(prompted)
        return await self._embed(token_ids, time.perf_counter() - started)

    async def embed_tokens(self, token_ids: Sequence[Sequence[int]]) -> Embedding:
        """Embed token ids as they are: special tokens and a prompt, if any, are the caller's business."""
        self._check_count(token_ids)
        if not all(token_ids):
            raise EmptyInput
        for ids in token_ids:
            self._check_own(ids)
        return await self._embed(token_ids, 0.0)

    async def _embed(self, token_ids: Sequence[Sequence[int]], tokenization_seconds: float) -> Embedding:
        lengths = [len(ids) for ids in token_ids]
        if (longest := max(lengths)) > self.limits.max_sequence_length:
            raise InputTooLong(longest, self.limits.max_sequence_length)
        if (tokens := sum(lengths)) > self.limits.max_tokens:
            raise TooManyTokens(tokens, self.limits.max_tokens)
        done = await self._scheduler.embed(token_ids)
        return Embedding(done.vectors, tokens, tokenization_seconds, done.queue_seconds, done.inference_seconds)

    async def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        if sum(map(len, texts)) <= SHORT_CHARACTERS:
            return self._tokenizer.encode(texts)
        loop = asyncio.get_running_loop()
        token_ids: list[list[int]] = []
        for chunk in _chunks(texts):
            token_ids += await loop.run_in_executor(self._tokenizers, self._tokenizer.encode, chunk)
        return token_ids

    def _check_count(self, inputs: Sequence[object]) -> None:
        if not inputs:
            raise EmptyInput
        if len(inputs) > self.limits.max_inputs:
            raise TooManyInputs(len(inputs), self.limits.max_inputs)

    def _check_own(self, ids: Sequence[int]) -> None:
        if min(ids) < 0 or max(ids) >= self._tokenizer.vocabulary_size:
            raise ForeignTokens(f"ids must be at least 0 and less than {self._tokenizer.vocabulary_size}")
        if not self._special.surround(ids):
            expected = f"each text begins with {list(self._special.before)} and ends with {list(self._special.after)}"
            raise ForeignTokens(expected)


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut texts into runs of about `TOKENIZER_CHUNK_CHARACTERS`."""
    cuts, size = [0], 0
    for index, text in enumerate(texts):
        if size and size + len(text) > TOKENIZER_CHUNK_CHARACTERS:
            cuts.append(index)
            size = 0
        size += len(text)
    for start, end in pairwise([*cuts, len(texts)]):
        yield texts[start:end]
