"""How long vectors are: shorter ones of a model that was trained so that their beginnings are vectors too.

Cuts, then normalises again if the model normalises. Whether a model's beginnings mean anything is the user's knowledge,
which is why only lengths that the settings allow are offered.
"""

from collections.abc import Collection

import numpy as np

from embedplane_server.engines.base import Vectors
from embedplane_server.refusals import CannotUndo, UnknownDimensions


class Matryoshka:
    """The lengths that one model offers, and the name of the vector space of each."""

    def __init__(
        self, space: str, native: int, *, normalized: bool, default: int | None = None, allowed: Collection[int] = ()
    ) -> None:
        self._space = space
        self.native = native
        self.default = default or native
        self.allowed = tuple(sorted({native, self.default, *allowed}))
        self._normalized = normalized
        if too_long := [length for length in self.allowed if not 0 < length <= native]:
            raise ValueError(f"the model has {native} dimensions, so {too_long[0]} cannot be offered")

    def choose(self, asked: int | None, *, normalize: bool | None = None) -> int:
        """Return the length that a request gets; refuse vectors that this model does not have."""
        if normalize is False and self._normalized:
            raise CannotUndo
        if asked is None:
            return self.default
        if asked not in self.allowed:
            raise UnknownDimensions(asked, self.native, self.allowed)
        return asked

    def space_name(self, dimensions: int) -> str:
        """Return the name of the vector space of this length; the native one is the model's own id."""
        return self._space if dimensions == self.native else f"{self._space};dimensions={dimensions}"

    def is_space(self, name: str, dimensions: int) -> bool:
        """Tell whether a client that names a space means vectors of this length."""
        named = name.replace(" ", "")
        return named in (self.space_name(dimensions), f"{self._space};dimensions={dimensions}")

    def fit(self, vectors: Vectors, dimensions: int, *, normalize: bool | None = None) -> Vectors:
        """Return native vectors at a length that was chosen; `normalize` may ask for more than the model does."""
        if dimensions != self.native:
            return unit(vectors[:, :dimensions]) if self._normalized or normalize else vectors[:, :dimensions].copy()
        return unit(vectors) if normalize and not self._normalized else vectors


def unit(vectors: Vectors) -> Vectors:
    """Return vectors of length 1, as torch's `normalize` makes them; a zero stays a zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
