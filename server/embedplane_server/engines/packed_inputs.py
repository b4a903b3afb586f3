"""Texts one after the other without any padding, as TensorRT-LLM's encoders take them. Pure.

What goes in is flat: so many tokens of all texts, and the length of each text. Hidden states come out just as flat, and
`Segments` says where each text's lie. (`packing.py` lays texts into rows, which is another thing.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedplane_server.engines.base import PromptedIds, TypedIds

Ints = NDArray[np.int32]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PackedInputs:
    """The tensors of one forward pass, all of them int32."""

    input_ids: Ints
    """`[tokens]`"""
    token_type_ids: Ints
    """`[tokens]`"""
    position_ids: Ints
    """`[tokens]`: each text begins anew."""
    input_lengths: Ints
    """`[texts]`"""
    max_input_length: Ints
    """`[longest]`: only its shape is looked at."""

    def as_tensors(self) -> dict[str, Ints]:
        """Return them by the names that the engine has for them."""
        return {
            "input_ids": self.input_ids,
            "token_type_ids": self.token_type_ids,
            "position_ids": self.position_ids,
            "input_lengths": self.input_lengths,
            "max_input_length": self.max_input_length,
        }


@dataclass(frozen=True, slots=True)
class Segments:
    """Where the pooled tokens of each text lie among all tokens, text after text."""

    rows: Places | None
    """Which tokens are pooled; None: all of them."""
    lengths: Places
    """How many of these each text has: `[texts]`, none is 0."""
    firsts: Places
    """The first token that is pooled, among all: `[texts]`."""
    lasts: Places
    """The last one: `[texts]`."""
    ordinals: NDArray[np.float32]
    """1, 2, ... from the beginning of each text on, of each pooled token."""


def first_position(model_type: str, padding_id: int) -> int:
    """Return the position of a text's first token: RoBERTa's count from behind that of the padding token."""
    return 0 if model_type == "bert" else padding_id + 1


def packed_inputs(token_ids: Sequence[Sequence[int]], first: int) -> PackedInputs:
    """Return the tensors of a batch whose texts begin at position `first`."""
    lengths = np.array([len(ids) for ids in token_ids], np.int32)
    return PackedInputs(
        input_ids=np.concatenate([np.asarray(ids, np.int32) for ids in token_ids]),
        token_type_ids=np.concatenate([_types(ids) for ids in token_ids]),
        position_ids=_ordinals(lengths) + np.int32(first),
        input_lengths=lengths,
        max_input_length=np.zeros(int(lengths.max()), np.int32),
    )


def segments(token_ids: Sequence[Sequence[int]]) -> Segments:
    """Return where each text's pooled tokens lie; prompts that are left out are not among them."""
    lengths = np.array([len(ids) for ids in token_ids], np.int64)
    left_out = np.array([ids.left_out if isinstance(ids, PromptedIds) else 0 for ids in token_ids], np.int64)
    ends = np.cumsum(lengths)
    ordinals = _ordinals(lengths)
    is_pooled = ordinals >= np.repeat(left_out, lengths)
    return Segments(
        rows=np.flatnonzero(is_pooled) if left_out.any() else None,
        lengths=lengths - left_out,
        firsts=ends - lengths + left_out,
        lasts=ends - 1,
        ordinals=(ordinals[is_pooled] + 1).astype(np.float32),
    )


def _types(ids: Sequence[int]) -> Ints:
    return np.asarray(ids.type_ids, np.int32) if isinstance(ids, TypedIds) else np.zeros(len(ids), np.int32)


def _ordinals(lengths: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return 0, 1, ... of each text, one after the other."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum()), dtype=lengths.dtype) - np.repeat(starts, lengths).astype(lengths.dtype)
