"""Texts laid into rows one after the other, so that a batch has few shapes and little in it is padding. Pure.

A graph that takes packed rows is told by `OWNERS` which text each token of a row belongs to, and tokens of one text
look at each other only; by `PLACES` it finds each text's tokens again. Which layout costs least is decided here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedplane_server.engines.padding import padded_count, padded_length

IDS, POSITIONS, OWNERS, PLACES = "input_ids", "position_ids", "owners", "places"

ROW = 64
"""Length of the rows of short texts: several in a row, and no tenth of a token's cost is attention."""
# OpenVINO's softmax takes 16 numbers at once and the rest of a row one by one: other lengths cost a tenth more.
_SHARED_ROWS = range(48, 128 + 1, 16)
# Attention grows with the row: in rows of so many tokens each would cost twice what its products alone do.
_DOUBLED_AT = 1100
# Batch after batch of one shape is worth this much, because every change of shape costs more than a millisecond.
_USUAL_SHAPE = 0.92
# How many texts there are, and how long, shapes only what comes after the transformer. Rounded up: few such shapes.
_TEXT_STEP, _PLACE_STEP = 16, 32


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows of one length and the texts, by number, that lie in each of them one after the other."""

    length: int
    rows: list[list[int]]
    """The last ones may be empty."""


def arrange(lengths: Sequence[int]) -> Layout:
    """Return the cheapest layout for texts of these lengths; texts that fill rows of `ROW` in order stay in order."""
    longest = max(lengths)
    if len(lengths) == 1:
        return Layout(padded_length(longest), [[0]])
    row_lengths, layouts = _row_lengths(longest, sum(lengths)), []
    if 2 * longest <= ROW:
        layouts.append(_laid(range(len(lengths)), lengths, ROW))
        if _cost(layouts[0]) <= _cost_without_padding(sum(lengths), min(row_lengths)):
            return layouts[0]  # rows that are full: the others need not be laid to know
    by_length = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    layouts += [_laid(by_length, lengths, length) for length in row_lengths]
    return min(layouts, key=_cost)


def _row_lengths(longest: int, tokens: int) -> list[int]:
    """Return the few lengths that rows of several texts may have, because OpenVINO keeps memory for each shape."""
    shared = [length for length in _SHARED_ROWS if length >= longest]
    if tokens <= _SHARED_ROWS[-1]:
        return [padded_length(tokens), *shared]  # one row, as of a text alone
    return shared or [padded_length(longest)]


def packed(token_ids: Sequence[Sequence[int]]) -> dict[str, NDArray[np.int64]]:
    """Return what a packed graph takes: `[rows, length]` three times, and places of shape `[texts, longest]`."""
    lengths = [len(ids) for ids in token_ids]
    layout = arrange(lengths)
    shape = (len(layout.rows), layout.length)
    input_ids, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    owners = np.full(shape, -1, np.int64)
    places = np.full(_places_shape(lengths), -1, np.int64)
    counting = np.arange(shape[0] * shape[1])
    for row, texts in enumerate(layout.rows):
        start = 0
        for text in texts:
            end = start + lengths[text]
            input_ids[row, start:end] = token_ids[text]
            positions[row, start:end] = counting[: lengths[text]]
            owners[row, start:end] = text
            first = row * layout.length + start
            places[text, : lengths[text]] = counting[first : first + lengths[text]]
            start = end
    return {IDS: input_ids, POSITIONS: positions, OWNERS: owners, PLACES: places}


def _places_shape(lengths: Sequence[int]) -> tuple[int, int]:
    texts = 1 if len(lengths) == 1 else -(-len(lengths) // _TEXT_STEP) * _TEXT_STEP
    return texts, -(-max(lengths) // _PLACE_STEP) * _PLACE_STEP


def _cost(layout: Layout) -> float:
    usual = _USUAL_SHAPE if layout.length == ROW else 1.0
    return _cost_without_padding(len(layout.rows) * layout.length, layout.length) * usual


def _cost_without_padding(tokens: int, row: int) -> float:
    return tokens * (1 + row / _DOUBLED_AT)


def _laid(order: Sequence[int], lengths: Sequence[int], length: int) -> Layout:
    """Lay each text, in this order, into the first row that has room."""
    rows: list[list[int]] = []
    room: list[int] = []
    for text in order:
        row = next((row for row, free in enumerate(room) if free >= lengths[text]), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(length)
        rows[row].append(text)
        room[row] -= lengths[text]
    rows += [[] for _ in range(padded_count(len(rows)) - len(rows))]
    return Layout(length, rows)
