"""Texts whose vectors are known, embedded when that holds nobody up: so a server checks itself while it runs.

A probe gets the engine while nothing runs or waits. One that finds no such moment for as long as its patience lasts
rides along: as one more row of a batch that goes anyway, so that a server that is never idle is checked too.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from embedplane_server.engines.base import Vectors


@dataclass(frozen=True, slots=True)
class Probed:
    """What became of a probe."""

    vector: Vectors
    """Of shape `[dimensions]`."""
    rode_along: bool
    """True where it found the engine busy all the time."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One text that waits for its moment."""

    token_ids: Sequence[int]
    alone: bool
    """Whether an idle engine is to use all of its device for it, as it does for a lone request."""
    rides_from: float
    """By the scheduler's clock: from then on it need not find the engine idle."""
    future: asyncio.Future[Probed]
