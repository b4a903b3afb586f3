"""Texts or token ids in, vectors out: what the routes of every API family call. Knows no wire format.

Puts the prompt before the texts, tokenises off the event loop, holds a request against the model's window and the
request limits, cuts vectors to the length that was asked for, and leaves the rest to `scheduling/`. A model that
classifies takes two texts as one input, and gives a row of logits in place of a vector. What is refused stands in
`refusals.py`.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import Protocol, TypeVar

import numpy as np

from embedplane_server.engines.base import PromptedIds, Vectors
from embedplane_server.options import NO_OPTIONS, OWN_TOKENS, Options, Policy, RequestLimits
from embedplane_server.prompt_tokens import prompt_tokens
from embedplane_server.refusals import (
    EmptyInput,
    ForeignTokens,
    InputTooLong,
    NoTokenVectors,
    PromptWithTokens,
    TooManyInputs,
    TooManyTokens,
    UnknownTokenEncoding,
)
from embedplane_server.scheduling.scheduler import Scheduler
from embedplane_server.scheduling.work import Embedded, Work
from embedplane_server.special_tokens import SpecialTokens
from embedplane_server.tokenization import Fitted, Side, Text, characters

SHORT_CHARACTERS = 1024
"""So little is tokenised at once: it takes 0.2 ms, little more than handing it to a thread and back."""
MOST_TOKEN_VECTORS = 16_384
"""So many tokens of one request may have vectors of their own: each takes as much of the answer as a text otherwise."""
TOKENIZER_CHUNK_CHARACTERS = 65_536
"""Texts are tokenised in turns of about this size, so that a huge request does not hold up a short one."""

AnyText = TypeVar("AnyText", bound=Text)


class Tokenizer(Protocol):
    """What this module needs of `tokenization.Tokenizer`."""

    @property
    def vocabulary_size(self) -> int:
        """Ids are smaller than this."""
        ...

    @property
    def cut_side(self) -> Side:
        """The end of a long text that falls away unless the request says otherwise."""
        ...

    def encode(self, texts: Sequence[Text]) -> list[list[int]]:
        """Return the ids of each text, special tokens included, neither padded nor truncated."""
        ...

    def fit(self, texts: Sequence[Text], window: int, side: Side) -> list[Fitted]:
        """Return each text cut to the window on a side; the special tokens stay."""
        ...


@dataclass(frozen=True, slots=True)
class Embedding:
    """The vectors of a request, the tokens of each input, and where the time went."""

    vectors: Vectors
    lengths: list[int]
    truncated: int
    """So many inputs were longer than the window and were cut."""
    tokenization_seconds: float
    queue_seconds: float
    inference_seconds: float
    every_token: bool = False
    """Whether the vectors are of tokens: those of all inputs, one input after the other."""

    @property
    def tokens(self) -> int:
        return sum(self.lengths)

    @property
    def by_input(self) -> list[Vectors]:
        """The vectors of each input's tokens."""
        return np.split(self.vectors, np.cumsum(self.lengths)[:-1])


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that waits for the engine, and what is known of its answer."""

    work: Work
    lengths: list[int]
    truncated: int
    tokenization_seconds: float
    dimensions: int
    options: Options


class Embedder:
    """The one way from a request to its vectors."""

    def __init__(
        self, tokenizer: Tokenizer, scheduler: Scheduler, limits: RequestLimits, policy: Policy, tokenizers: Executor
    ) -> None:
        self.limits = limits
        self.policy = policy
        self._tokenizer = tokenizer
        self._scheduler = scheduler
        self._tokenizers = tokenizers
        self._special = SpecialTokens.of(tokenizer)
        self._left_out = cache(partial(prompt_tokens, tokenizer, self._special, window=limits.max_sequence_length))
        """By prompt, of which a model has a few; the same for every request."""

    async def embed_texts(self, texts: Sequence[Text], options: Options = NO_OPTIONS) -> Embedding:
        """Embed texts, the prompt of the request or the default one before each; two texts together have none."""
        self._check_count(texts)
        sizes = list(map(characters, texts))
        if not all(sizes):
            raise EmptyInput
        prompt = self.policy.prompts.text(options.prompt_name, options.input_type)
        started = time.perf_counter()
        prompted = [prompt + text if isinstance(text, str) else text for text in texts] if prompt else texts
        is_short = sum(sizes) + len(prompt) * len(texts) <= SHORT_CHARACTERS
        fitted = self._fit_now(prompted, options) if is_short else await self._fit(prompted, options)
        return await self._embedded(self._admit_fitted(fitted, prompt, started, options))

    def admit_text(self, text: str, options: Options = NO_OPTIONS) -> Admitted:
        """Admit one text of at most `SHORT_CHARACTERS` and return at once; `embedding` makes of it what is due later.

        For callers without a task of their own: they wait for the work's future, and `abandon` it otherwise.
        """
        if not text:
            raise EmptyInput
        prompt = self.policy.prompts.text(options.prompt_name, options.input_type)
        started = time.perf_counter()
        return self._admit_fitted(self._fit_now([prompt + text], options), prompt, started, options)

    def abandon(self, admitted: Admitted) -> None:
        """Free what has not started of a request that nobody waits for."""
        self._scheduler.abandon(admitted.work)
        admitted.work.future.cancel()

    async def embed_tokens(self, token_ids: Sequence[Sequence[int]], options: Options = NO_OPTIONS) -> Embedding:
        """Embed token ids as they are: special tokens and a prompt, if any, are the caller's business.

        Ids of another tokenizer, if the request or the policy says so, are turned back into text first.
        """
        self._check_count(token_ids)
        if not all(token_ids):
            raise EmptyInput
        encoding = options.token_encoding or self.policy.token_encoding
        if encoding != OWN_TOKENS:
            loop = asyncio.get_running_loop()
            texts = await loop.run_in_executor(self._tokenizers, self._decode, token_ids, encoding)
            return await self.embed_texts(texts, options)
        if self.policy.prompts.text(options.prompt_name, options.input_type) and options.names_a_prompt:
            raise PromptWithTokens("prompt_name" if options.prompt_name else "input_type")
        for ids in token_ids:
            self._check_own(ids)
        window = self.limits.max_sequence_length
        long = frozenset(index for index, ids in enumerate(token_ids) if len(ids) > window)
        if long:
            self._check_lengths([Fitted([], len(ids)) for ids in token_ids], options)
            side = options.cut_side or self._tokenizer.cut_side
            token_ids = [
                self._special.cut(ids, window, side) if index in long else ids for index, ids in enumerate(token_ids)
            ]
        return await self._embedded(self._admit(token_ids, len(long), 0.0, options))

    def _admit_fitted(self, fitted: Sequence[Fitted], prompt: str, started: float, options: Options) -> Admitted:
        truncated = sum(each.tokens > len(each.ids) for each in fitted)
        seconds = time.perf_counter() - started
        token_ids: list[list[int]] = [each.ids for each in fitted]
        if prompt and not self.policy.pools_prompts:
            token_ids = [PromptedIds(ids, self._left_out(prompt)) for ids in token_ids]
        return self._admit(token_ids, truncated, seconds, options)

    def _admit(
        self, token_ids: Sequence[Sequence[int]], truncated: int, tokenization_seconds: float, options: Options
    ) -> Admitted:
        dimensions = self.policy.matryoshka.choose(options.dimensions, normalize=options.normalize)
        lengths = list(map(len, token_ids))
        tokens = sum(lengths)
        if options.every_token:
            self._check_every_token(tokens)
        if tokens > self.limits.max_tokens:
            raise TooManyTokens(tokens, self.limits.max_tokens)
        work = self._scheduler.admit(token_ids, every_token=options.every_token)
        return Admitted(work, lengths, truncated, tokenization_seconds, dimensions, options)

    async def _embedded(self, admitted: Admitted) -> Embedding:
        try:
            return self.embedding(admitted, await admitted.work.future)
        except asyncio.CancelledError:
            self.abandon(admitted)
            raise

    def embedding(self, admitted: Admitted, done: Embedded) -> Embedding:
        """Return what a request gets for what came out of the engine."""
        options, vectors = admitted.options, done.vectors
        if not options.every_token:
            vectors = self.policy.matryoshka.fit(vectors, admitted.dimensions, normalize=options.normalize)
        times = (admitted.tokenization_seconds, done.queue_seconds, done.inference_seconds)
        return Embedding(vectors, admitted.lengths, admitted.truncated, *times, every_token=options.every_token)

    def _check_every_token(self, tokens: int) -> None:
        if not self._scheduler.has_token_vectors:
            raise NoTokenVectors
        if tokens > MOST_TOKEN_VECTORS:
            raise TooManyTokens(tokens, MOST_TOKEN_VECTORS)

    def _check_lengths(self, fitted: Sequence[Fitted], options: Options) -> None:
        """Raise `InputTooLong` for what does not fit, unless the request or the policy wants it cut."""
        truncate = self.policy.truncate if options.truncate is None else options.truncate
        if truncate:
            return
        longest = max(fitted, key=lambda each: each.tokens)
        if longest.tokens > self.limits.max_sequence_length:
            raise InputTooLong(longest.tokens, self.limits.max_sequence_length, is_counted=longest.is_counted)

    def _decode(self, token_ids: Sequence[Sequence[int]], encoding: str) -> list[str]:
        decoder = self.policy.decoders.get(encoding)
        if decoder is None:
            raise UnknownTokenEncoding(encoding, (OWN_TOKENS, *self.policy.decoders))
        return [decoder.decode(ids) for ids in token_ids]

    async def _fit(self, texts: Sequence[Text], options: Options) -> list[Fitted]:
        """Tokenise texts chunk by chunk, until there are too many tokens."""
        fit = partial(self._fit_now, options=options)
        loop = asyncio.get_running_loop()
        fitted: list[Fitted] = []
        tokens = 0
        for chunk in chunks(texts):
            if tokens > self.limits.max_tokens:
                raise TooManyTokens(tokens, self.limits.max_tokens, is_counted=False)
            found = await loop.run_in_executor(self._tokenizers, fit, chunk)
            fitted += found
            tokens += sum(len(each.ids) for each in found)
        return fitted

    def _fit_now(self, texts: Sequence[Text], options: Options) -> list[Fitted]:
        window = self.limits.max_sequence_length
        fitted = self._tokenizer.fit(texts, window, options.cut_side or self._tokenizer.cut_side)
        self._check_lengths(fitted, options)
        return fitted

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


def chunks(texts: Sequence[AnyText]) -> Iterator[Sequence[AnyText]]:
    """Cut texts into runs of about `TOKENIZER_CHUNK_CHARACTERS`."""
    cuts, size = [0], 0
    for index, text in enumerate(texts):
        length = characters(text)
        if size and size + length > TOKENIZER_CHUNK_CHARACTERS:
            cuts.append(index)
            size = 0
        size += length
    for start, end in pairwise([*cuts, len(texts)]):
        yield texts[start:end]
