"""The seam between scheduling and engine libraries: ragged token ids in, float32 vectors out.

A model that classifies has a row of logits in place of a vector; nothing here differs for it.

An engine knows neither HTTP nor the queue. It says from how many threads at once it wants to be called.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


class TypedIds(list[int]):
    """The token ids of two texts as one sequence, with the text, 0 or 1, that each of them belongs to.

    Only engines of models that look at the types ask for them; to everybody else this is a sequence like any other.
    """

    __slots__ = ("type_ids",)

    def __init__(self, ids: Iterable[int], type_ids: Sequence[int]) -> None:
        super().__init__(ids)
        self.type_ids = type_ids


class PromptedIds(list[int]):
    """The token ids of a text behind a prompt that the model's pooling leaves out.

    `left_out` tokens at the beginning are the prompt's, with the special tokens before it. Only engines of models that
    pool so ask for them; to everybody else this is a sequence like any other.
    """

    __slots__ = ("left_out",)

    def __init__(self, ids: Iterable[int], left_out: int) -> None:
        super().__init__(ids)
        self.left_out = left_out


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids of the texts of one forward pass, special tokens included, without padding.

    `token_ids` holds one sequence a text; none is empty and none is longer than the model's window.
    """

    token_ids: Sequence[Sequence[int]]
    alone: bool = False
    """No other batch runs or waits, so this one may have all of the device."""
    every_token: bool = False
    """Whether a vector of each token is wanted rather than one of each text."""

    @property
    def tokens(self) -> int:
        """Real tokens: padding is not counted."""
        return sum(len(ids) for ids in self.token_ids)

    @property
    def longest(self) -> int:
        return max(len(ids) for ids in self.token_ids)


class Engine(Protocol):
    """Turns a batch into vectors, by whatever library."""

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        ...

    @property
    def parallel(self) -> int:
        """So many calls of `embed` at once use the whole device; more would only wait."""
        ...

    @property
    def token_dimensions(self) -> int | None:
        """Length of each vector of a token; None: the engine has none."""
        ...

    @property
    def row_tokens(self) -> int | None:
        """Texts of at most half of so many tokens cost least in batches that fill rows of that length, in their order.

        None: texts cost least beside others of their own length.
        """
        ...

    def enter_thread(self) -> None:
        """Prepare the calling thread, which does nothing from now on but call `embed` for batches side by side."""
        ...

    def embed(self, batch: Batch) -> Vectors:
        """Return vectors of shape `[len(batch.token_ids), dimensions]`, in the batch's order.

        With `every_token`: of shape `[batch.tokens, token_dimensions]`, one text after the other.
        Raises `EngineError` when the library fails; the batch is lost, the engine may live on.
        """
        ...

    def close(self) -> None:
        """Free the device. Nothing is called afterwards."""
        ...
