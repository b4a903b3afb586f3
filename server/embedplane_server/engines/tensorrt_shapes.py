"""Which rectangles of tokens an engine of TensorRT is tuned for: one range of shapes a profile. Pure.

Texts are padded to the longest of their batch, never to a profile's end; a profile only bounds what its kernels take.
"""

from collections.abc import Sequence
from dataclasses import dataclass

CAPACITY = 16_384
"""Tokens of the largest rectangle, padding included. It is in every engine, whatever budget its server is given."""

LONE = 0
"""The index of the profile of lone texts."""

_ENDS = (32, 128, 512, 2048, 8192, 32_768)
_LONE_LENGTH = 512
_LONE_USUAL = 32

Shape = tuple[int, int]
"""Texts, and tokens of the longest."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A range of shapes, and the one that the kernels are chosen for."""

    least: Shape
    usual: Shape
    most: Shape

    def takes(self, length: int) -> bool:
        return self.least[1] <= length <= self.most[1]


def profiles_for(window: int) -> tuple[Profile, ...]:
    """Return the profile of lone texts, then those of batches by length, up to a model's window."""
    lone = min(window, _LONE_LENGTH)
    found = [Profile((1, 1), (1, min(lone, _LONE_USUAL)), (1, lone))]
    start = 1
    for end in (*(each for each in _ENDS if each < window), window):
        rows = max(1, CAPACITY // end)
        found.append(Profile((1, start), (rows, end), (rows, end)))
        start = end + 1
    return tuple(found)


def chosen(profiles: Sequence[Profile], rows: int, length: int) -> int:
    """Return the index of the profile for a rectangle: the smallest that takes all rows, else the one with most rows.

    Rows beyond `most` of that profile have to run afterwards.
    """
    fitting = [index for index, each in enumerate(profiles) if each.takes(length)]
    if not fitting:
        raise ValueError(f"no profile takes texts of {length} tokens")
    return min(fitting, key=lambda index: (min(profiles[index].most[0], rows) * -1, _cells(profiles[index])))


def _cells(profile: Profile) -> int:
    return profile.most[0] * profile.most[1]
