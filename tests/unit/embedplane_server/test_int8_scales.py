"""How products are rounded to 8 bits: what stays exact, and what large channels do to the others."""

import numpy as np
import pytest

from embedplane_server.builders.int8_scales import (
    Observed,
    best_scales,
    divided_weights,
    rounded_weights,
    split_channels,
)

HUGE = 5


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def observed(sample: np.ndarray) -> Observed:
    return Observed(sample.min(axis=0), sample.max(axis=0), sample)


@pytest.fixture
def seen() -> Observed:
    """Tokens with a channel that is large in a few of them, as a trained feed-forward layer has."""
    sample = numbers(400, 96)
    sample[::40, HUGE] *= 60
    return observed(sample)


def test_channels_that_come_several_times_make_the_same_products(seen):
    weights = numbers(32, 96)
    channels = split_channels(seen, weights, 6)
    assert len(channels) == 96 + 6
    assert (channels[96:] == HUGE).all()
    found = seen.of_channels(channels).sample @ divided_weights(weights, channels).T
    assert np.allclose(found, seen.sample @ weights.T, atol=1e-3)


def test_a_large_channel_harms_less_when_it_comes_several_times(seen):
    weights = numbers(32, 96)
    channels = split_channels(seen, weights, 12)
    alone = best_scales(seen, [weights]).error
    split = best_scales(seen.of_channels(channels), [divided_weights(weights, channels)]).error
    assert split < alone / 1.5


def test_nothing_stays_nothing_and_values_beyond_the_texts_that_were_seen_have_room():
    scales = best_scales(observed(np.abs(numbers(50, 8)) + 1), [numbers(4, 8)])
    assert scales.low == 0
    scales = best_scales(seen := observed(numbers(50, 8)), [numbers(4, 8)])
    assert round(scales.low / scales.step) == pytest.approx(scales.low / scales.step, abs=1e-6)
    assert scales.low < (seen.low / scales.channels).min()
    assert scales.high > (seen.high / scales.channels).max()


def test_weights_are_rounded_to_a_hundredth_of_their_rows_largest():
    weights = numbers(16, 48)
    weights[3] = 0
    scales = best_scales(observed(numbers(50, 48)), [weights])
    rows, steps = rounded_weights(weights, scales)
    assert (rows[3] == 0).all()
    assert np.abs(rows * steps - weights * scales.channels).max() < np.abs(weights * scales.channels).max() / 100


def test_a_product_of_constant_values_has_scales():
    scales = best_scales(observed(np.zeros((10, 8), np.float32)), [np.zeros((4, 8), np.float32)])
    assert np.isfinite([scales.low, scales.high, scales.error, *scales.channels]).all()
    assert scales.step > 0
