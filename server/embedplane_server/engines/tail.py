"""What comes after the transformer: pooling, dense layers, normalisation, over hidden states without padding.

Written once over the few operations of `Arrays`, so that what is proven with NumPy is what a GPU runs with torch.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from embedplane_server.engines.packed_inputs import Segments

TAIL, TAIL_WEIGHTS = "tail.json", "tail.npz"

_SHORTEST = 1e-12
"""torch.nn.functional.normalize divides by no less."""

Array = Any  # of NumPy or of torch: they share operators and indexing, and no type


class Arrays(Protocol):
    """What an array library calls by names of its own; the rest are operators."""

    def put(self, array: NDArray[Any]) -> Array:
        """Return it where this library computes."""
        ...

    def sums(self, states: Array, lengths: Array) -> Array:
        """Return the sum of each text's rows: `[texts, width]`."""
        ...

    def maxima(self, states: Array, lengths: Array) -> Array:
        """Return the largest value of each text's rows, column by column: `[texts, width]`."""
        ...

    def joined(self, parts: Sequence[Array]) -> Array:
        """Return arrays side by side."""
        ...

    def tanh(self, values: Array) -> Array: ...

    def norms(self, vectors: Array, smallest: float) -> Array:
        """Return the length of each row as a column, no less than the smallest."""
        ...


@dataclass(frozen=True, slots=True)
class Dense:
    """A dense layer: weight `[out, in]`, bias `[out]`; with a residual what went in is added, as it is or projected."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None
    is_tanh: bool
    has_residual: bool = False
    projection: NDArray[np.float32] | None = None

    @property
    def named_weights(self) -> dict[str, NDArray[np.float32]]:
        given = {"weight": self.weight, "bias": self.bias, "projection": self.projection}
        return {name: array for name, array in given.items() if array is not None}


@dataclass(frozen=True, slots=True)
class Tail:
    """The modules after the transformer."""

    pooling: tuple[str, ...]
    dense: tuple[Dense, ...] = ()
    normalizes: bool = False

    def dimensions(self, width: int) -> int:
        """Return the length of vectors of hidden states of a width."""
        return int(self.dense[-1].weight.shape[0]) if self.dense else width * len(self.pooling)

    def save(self, folder: Path) -> None:
        """Write it into an engine's folder; `load_tail` reads it."""
        layers = [{"isTanh": layer.is_tanh, "hasResidual": layer.has_residual} for layer in self.dense]
        document = {"pooling": list(self.pooling), "dense": layers, "normalizes": self.normalizes}
        (folder / TAIL).write_text(json.dumps(document, indent=1), encoding="utf-8")
        weights = {
            f"{row}.{name}": array
            for row, layer in enumerate(self.dense)
            for name, array in layer.named_weights.items()
        }
        np.savez(folder / TAIL_WEIGHTS, **weights)  # type: ignore[arg-type]  # its stubs take a flag by keyword


def load_tail(folder: Path) -> Tail:
    """Read what `Tail.save` wrote."""
    document = json.loads((folder / TAIL).read_text(encoding="utf-8"))
    with np.load(folder / TAIL_WEIGHTS, allow_pickle=False) as arrays:
        dense = tuple(
            Dense(
                arrays[f"{row}.weight"],
                arrays.get(f"{row}.bias"),
                layer["isTanh"],
                layer["hasResidual"],
                arrays.get(f"{row}.projection"),
            )
            for row, layer in enumerate(document["dense"])
        )
    return Tail(tuple(document["pooling"]), dense, document["normalizes"])


class TailRunner:
    """A tail whose weights are where they are used."""

    def __init__(self, tail: Tail, arrays: Arrays) -> None:
        self._tail, self._arrays = tail, arrays
        self._weights = [
            {name: arrays.put(array) for name, array in layer.named_weights.items()} for layer in tail.dense
        ]

    def vectors(self, states: Array, places: Segments) -> Array:
        """Return the vectors `[texts, dimensions]` of hidden states `[tokens, width]` in float32."""
        found = self._arrays.joined([self._pooled(mode, states, places) for mode in self._tail.pooling])
        for layer, weights in zip(self._tail.dense, self._weights, strict=True):
            found = self._dense(layer, weights, found)
        return found / self._arrays.norms(found, _SHORTEST) if self._tail.normalizes else found

    def _pooled(self, mode: str, states: Array, places: Segments) -> Array:
        put = self._arrays.put
        if mode == "cls":
            return states[put(places.firsts)]
        if mode == "lasttoken":
            return states[put(places.lasts)]
        pooled = states if places.rows is None else states[put(places.rows)]
        lengths = put(places.lengths)
        if mode == "max":
            return self._arrays.maxima(pooled, lengths)
        if mode == "weightedmean":
            ordinals = put(places.ordinals)[:, None]
            return self._arrays.sums(pooled * ordinals, lengths) / self._arrays.sums(ordinals, lengths)
        counts = put(places.lengths.astype(np.float32))[:, None]
        divisors = {"mean": counts, "mean_sqrt_len_tokens": counts**0.5}
        return self._arrays.sums(pooled, lengths) / divisors[mode]

    def _dense(self, layer: Dense, weights: dict[str, Array], vectors: Array) -> Array:
        out = vectors @ weights["weight"].T
        out = out + weights["bias"] if "bias" in weights else out
        out = self._arrays.tanh(out) if layer.is_tanh else out
        if not layer.has_residual:
            return out
        return out + (vectors @ weights["projection"].T if "projection" in weights else vectors)


class NumpyArrays:
    """`Arrays` of NumPy, on a CPU."""

    def put(self, array: NDArray[Any]) -> Array:
        return array

    def sums(self, states: Array, lengths: Array) -> Array:
        return np.add.reduceat(states, np.cumsum(lengths) - lengths, axis=0)

    def maxima(self, states: Array, lengths: Array) -> Array:
        return np.maximum.reduceat(states, np.cumsum(lengths) - lengths, axis=0)

    def joined(self, parts: Sequence[Array]) -> Array:
        return np.concatenate(parts, axis=1)

    def tanh(self, values: Array) -> Array:
        return np.tanh(values)

    def norms(self, vectors: Array, smallest: float) -> Array:
        return np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), smallest)
