"""Texts as rectangles: one a row, filled up to a length on a grid. Pure.

Every new input shape costs OpenVINO some milliseconds once, so lengths come in steps.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embedplane_server.engines.base import PromptedIds, TypedIds

_SINGLE_ROWS = 12


def padded_length(length: int) -> int:
    """Return the length on the grid: steps of 2 up to 32 tokens, of 8 up to 64, of 16 up to 256, of 32 above."""
    step = 2 if length <= 32 else 8 if length <= 64 else 16 if length <= 256 else 32
    return -(-length // step) * step


def padded_count(rows: int) -> int:
    """Return the number of rows on the grid: each up to 12, steps of 2 up to 24, of 4 up to 48, and so on."""
    step = 1 << ((rows - 1) // _SINGLE_ROWS).bit_length()
    return -(-rows // step) * step


def padded(token_ids: Sequence[Sequence[int]]) -> dict[str, NDArray[np.int64]]:
    """Return ids and mask as rectangles; what lies beyond a text is 0 in both."""
    shape = (len(token_ids), padded_length(max(len(ids) for ids in token_ids)))
    input_ids = np.zeros(shape, dtype=np.int64)
    attention_mask = np.zeros(shape, dtype=np.int64)
    for row, ids in enumerate(token_ids):
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}


def padded_types(token_ids: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Return the types of the tokens as a rectangle; a text alone is all 0."""
    type_ids = np.zeros((len(token_ids), padded_length(max(len(ids) for ids in token_ids))), dtype=np.int64)
    for row, ids in enumerate(token_ids):
        if isinstance(ids, TypedIds):
            type_ids[row, : len(ids)] = ids.type_ids
    return type_ids


def pooling_mask(token_ids: Sequence[Sequence[int]], attention_mask: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the mask of the tokens that are pooled: all of a text but those of a prompt before it."""
    mask = attention_mask.copy()
    for row, ids in enumerate(token_ids):
        if isinstance(ids, PromptedIds):
            mask[row, : ids.left_out] = 0
    return mask
