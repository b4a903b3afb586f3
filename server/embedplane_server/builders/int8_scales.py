"""How a product with weights is computed in 8 bits: by which scales, and how far off it is then. Pure.

Activations get one range a product and weights a scale a row, so one channel that is far larger than the others would
leave these with few of the 256 steps. Two things are done against it. Channels are divided before the rounding by what
their weights are multiplied with (SmoothQuant); and the few that are still too large come several times, each copy
with its part of the weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float32]

LEVELS = 256
_GREATEST_WEIGHT = 127
# How much of a channel's size the weights take over; what suits a product best is tried.
_SHARES = (0.7, 0.85, 1.0)
# Texts that were not looked at have values beyond the range of those that were.
_MARGIN = 1.15
_TINY = 1e-5


@dataclass(frozen=True, slots=True)
class Observed:
    """What goes into a product: least and greatest value of each channel, and some tokens as `[tokens, channels]`."""

    low: Numbers
    high: Numbers
    sample: Numbers

    @property
    def sizes(self) -> Numbers:
        return np.maximum(np.maximum(np.abs(self.low), np.abs(self.high)), _TINY)

    def of_channels(self, channels: NDArray[np.intp]) -> "Observed":
        """Return the same for channels by number, some of them several times."""
        return Observed(self.low[channels], self.high[channels], self.sample[:, channels])


@dataclass(frozen=True, slots=True)
class Scales:
    """Channels are divided by `channels`, and rounded to 256 steps from `low` to `high`, one of which is 0."""

    channels: Numbers
    low: float
    high: float
    error: float = 0.0
    """Mean over tokens of the squared error of a product's result, as a share of its squared length."""

    @property
    def step(self) -> float:
        return (self.high - self.low) / (LEVELS - 1)


def split_channels(observed: Observed, weights: Numbers, copies: int) -> NDArray[np.intp]:
    """Return the channels by number and, behind them, so many copies of those that are largest in the products."""
    sizes = observed.sizes * np.abs(weights).max(axis=0)
    times = np.ones(len(sizes), dtype=np.intp)
    for _ in range(copies):
        times[np.argmax(sizes / times)] += 1
    every = np.arange(len(sizes))
    return np.concatenate([every, np.repeat(every, times - 1)])


def divided_weights(weights: Numbers, channels: NDArray[np.intp]) -> Numbers:
    """Return weights `[rows, channels]` for channels that come several times: each copy has an equal part."""
    times = np.bincount(channels)
    return (weights / times).astype(np.float32)[:, channels]


def best_scales(observed: Observed, weights: Sequence[Numbers]) -> Scales:
    """Return the scales with the least error for products that take the same values, each `[rows, channels]`."""
    return min((_scales(observed, weights, share) for share in _SHARES), key=lambda scales: scales.error)


def rounded_weights(weights: Numbers, scales: Scales) -> tuple[NDArray[np.int8], Numbers]:
    """Return weights for scaled channels in 8 bits, and the scale of each row, `[rows, 1]`."""
    scaled = weights * scales.channels
    steps = np.maximum(np.abs(scaled).max(axis=1, keepdims=True) / _GREATEST_WEIGHT, _TINY * _TINY)
    return np.round(scaled / steps).astype(np.int8), steps


def _scales(observed: Observed, weights: Sequence[Numbers], share: float) -> Scales:
    largest = np.maximum(np.max([np.abs(each).max(axis=0) for each in weights], axis=0), _TINY)
    channels = observed.sizes**share / largest ** (1 - share)
    channels = (channels / np.exp(np.log(channels).mean())).astype(np.float32)
    scales = Scales(channels, *_range(observed.low / channels, observed.high / channels))
    errors = [_error(observed.sample, each, scales) for each in weights]
    return Scales(scales.channels, scales.low, scales.high, float(np.mean(errors)))


def _range(low: Numbers, high: Numbers) -> tuple[float, float]:
    """Return the range that holds all channels, moved so that 0 is one of its steps: it has to stay exact."""
    least, greatest = min(0.0, float(low.min()) * _MARGIN), max(0.0, float(high.max()) * _MARGIN)
    step = max(greatest - least, _TINY) / (LEVELS - 1)
    below = round(-least / step)
    return -below * step, (LEVELS - 1 - below) * step


def _error(sample: Numbers, weights: Numbers, scales: Scales) -> float:
    """A token counts as much as any other: in tokens with the largest values the rounding shows least."""
    exact = sample @ weights.T
    steps = np.clip(
        np.round(sample / scales.channels / scales.step), scales.low / scales.step, scales.high / scales.step
    )
    rows, row_steps = rounded_weights(weights, scales)
    found = (steps * np.float32(scales.step)) @ (rows.astype(np.float32) * row_steps).T
    lengths = np.maximum((exact**2).sum(axis=1), _TINY)
    return float((((found - exact) ** 2).sum(axis=1) / lengths).mean())
