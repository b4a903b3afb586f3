"""An fp32 OpenVINO graph becomes one whose products with weights are computed in 8 bits, where they can be.

What each product is given is looked at in fp32, over texts. Products whose results would be too far off stay as they
are. Attention, normalisations and sums are not touched. Whether the vectors are near enough is for the proof to say;
how rounding is done is in `int8_scales.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as operations

from embedplane_server.builders.int8_scales import (
    LEVELS,
    Numbers,
    Observed,
    Scales,
    best_scales,
    divided_weights,
    rounded_weights,
    split_channels,
)
from embedplane_server.builders.machine import usable_cpus
from embedplane_server.engines.openvino import graph_inputs
from embedplane_server.errors import unsupported_model

# One copy of a channel for so many of them: what the copies cost is not seen in the speed.
_CHANNELS_A_COPY = 48
# Tokens of each text that products are tried with.
_TOKENS_A_TEXT = 3
_LONGEST_TEXT = 512
# Functions of single numbers: channels that come several times before them do so behind them.
_SINGLE = ("Gelu", "Relu", "Swish", "Tanh")
_TOKENS_RANK = 3


@dataclass(frozen=True, slots=True)
class Quantised:
    """How many products there are, and how many of them were left as they were."""

    products: int
    left: int


@dataclass(frozen=True, slots=True)
class Group:
    """Products with weights, nodes of a graph, that take the same values."""

    products: tuple[Any, ...]

    @property
    def name(self) -> str:
        return str(self.products[0].get_friendly_name())

    @property
    def source(self) -> Any:  # noqa: ANN401 -- OpenVINO ships no types
        return self.products[0].input_value(0)

    @property
    def weights(self) -> list[Numbers]:
        """One array a product, `[rows, channels]`."""
        return [_weights(product) for product in self.products]

    @property
    def channels(self) -> int:
        return int(_weights(self.products[0]).shape[1])


class Quantiser:
    """What a graph's products are given in texts, of which every second is looked at, and how they are rounded best.

    No range comes from the other texts, so that a proof over all of them is one.
    """

    def __init__(self, graph: Path, texts: Iterable[Sequence[int]]) -> None:
        self._model = openvino.Core().read_model(str(graph))
        groups = _groups(self._model)
        if not groups:
            raise unsupported_model("it has no products of tokens with weights that int8 could make faster")
        observed = _observe(self._model, groups, [ids for ids in texts if len(ids) <= _LONGEST_TEXT][::2])
        observed = [_split(group, seen) for group, seen in zip(groups, observed, strict=True)]
        self._model.validate_nodes_and_infer_types()
        self._scales = {
            group.name: best_scales(seen, group.weights) for group, seen in zip(groups, observed, strict=True)
        }

    def write(self, target: Path, largest_error: float) -> Quantised:
        """Write the graph with those products in 8 bits whose results are off by no more than this."""
        model = self._model.clone()
        groups = _groups(model)
        rounded = [group for group in groups if self._scales[group.name].error <= largest_error]
        for group in rounded:
            _round(group, self._scales[group.name])
        model.validate_nodes_and_infer_types()
        openvino.save_model(model, str(target), compress_to_fp16=False)
        products, done = (sum(len(group.products) for group in each) for each in (groups, rounded))
        return Quantised(products, products - done)


def _groups(model: Any) -> list[Group]:  # noqa: ANN401 -- OpenVINO ships no types
    """Return the products of tokens with weights, in order; those of whole texts are few and stay exact."""
    groups: dict[tuple[str, int], list[Any]] = {}
    for node in model.get_ordered_ops():
        if _is_product(node) and node.input_value(0).get_partial_shape().rank.get_length() == _TOKENS_RANK:
            source = node.input_value(0)
            groups.setdefault((source.get_node().get_friendly_name(), source.get_index()), []).append(node)
    return [Group(tuple(products)) for products in groups.values()]


def _is_product(node: Any) -> bool:  # noqa: ANN401 -- OpenVINO ships no types
    return node.get_type_name() == "MatMul" and _is_constant(node.input_value(1))


def _is_constant(value: Any) -> bool:  # noqa: ANN401 -- OpenVINO ships no types
    return bool(value.get_node().get_type_name() == "Constant")


def _weights(product: Any) -> Numbers:  # noqa: ANN401 -- OpenVINO ships no types
    values = np.array(product.input_value(1).get_node().get_data(), dtype=np.float32)
    return values if product.get_attributes()["transpose_b"] else values.T


def _observe(model: Any, groups: list[Group], texts: list[Sequence[int]]) -> list[Observed]:  # noqa: ANN401
    """Run texts one by one in fp32 and return what each group is given."""
    looked_at = openvino.Model([group.source for group in groups], model.get_parameters(), "observed")
    properties = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": usable_cpus(),
        "ENABLE_CPU_PINNING": False,
    }
    request = openvino.compile_model(looked_at, "CPU", properties).create_infer_request()
    names = {name for tensor in model.inputs for name in tensor.get_names()}
    dice = np.random.default_rng(0)
    seen: list[list[Observed]] = [[] for _ in groups]
    widths = [group.channels for group in groups]
    for ids in texts:
        found = request.infer(graph_inputs(names, [ids]), share_inputs=True)
        tokens = dice.choice(len(ids), min(_TOKENS_A_TEXT, len(ids)), replace=False)
        for row, width in enumerate(widths):
            # Behind the text may be padding.
            values = found[row].reshape(-1, width)[: len(ids)]
            seen[row].append(Observed(values.min(axis=0), values.max(axis=0), values[tokens].copy()))
    return [_together(each) for each in seen]


def _together(seen: list[Observed]) -> Observed:
    return Observed(
        np.min([each.low for each in seen], axis=0),
        np.max([each.high for each in seen], axis=0),
        np.concatenate([each.sample for each in seen]),
    )


def _split(group: Group, observed: Observed) -> Observed:
    """Let channels that are much larger than the others come several times, if a product before can give them so.

    In fp32 the result is the same.
    """
    if (before := _before(group)) is None:
        return observed
    product, bias = before
    (own,), (after,) = group.weights, group.products
    channels = split_channels(observed, own, own.shape[1] // _CHANNELS_A_COPY)
    _replace_weights(product, _weights(product)[channels])
    if bias is not None:
        values = np.array(bias.get_source_output().get_node().get_data(), dtype=np.float32)
        bias.replace_source_output(operations.constant(values[..., channels]).output(0))
    _replace_weights(after, divided_weights(own, channels))
    return observed.of_channels(channels)


def _before(group: Group) -> tuple[Any, Any] | None:
    """Return the product that makes the group's channels and the input of its bias, if nothing else takes them.

    Between the two is a function of single numbers, as in a feed-forward layer.
    """
    single = group.source.get_node()
    if (
        len(group.products) > 1
        or single.get_type_name() not in _SINGLE
        or len(single.output(0).get_target_inputs()) > 1
    ):
        return None
    node, bias = single.input_value(0).get_node(), None
    if node.get_type_name() == "Add" and _is_constant(node.input_value(1)):
        node, bias = node.input_value(0).get_node(), node.input(1)
        if len(bias.get_node().output(0).get_target_inputs()) > 1:
            return None
    return (node, bias) if _is_product(node) and len(node.output(0).get_target_inputs()) == 1 else None


def _replace_weights(product: Any, weights: Numbers) -> None:  # noqa: ANN401 -- OpenVINO ships no types
    laid = weights if product.get_attributes()["transpose_b"] else weights.T
    product.input(1).replace_source_output(operations.constant(np.ascontiguousarray(laid)).output(0))


def _round(group: Group, scales: Scales) -> None:
    """Put rounding in front of products, and weights of 8 bits into them: OpenVINO computes these with integers."""
    low, high = _number(scales.low), _number(scales.high)
    scaled = operations.multiply(group.source, operations.constant((1 / scales.channels).reshape(1, 1, -1)))
    rounded = operations.fake_quantize(scaled, low, high, low, high, LEVELS)
    for product, weights in zip(group.products, group.weights, strict=True):
        rows, steps = rounded_weights(weights, scales)
        whole = operations.multiply(operations.convert(operations.constant(rows), "f32"), operations.constant(steps))
        new = operations.matmul(rounded, whole, transpose_a=False, transpose_b=True)
        new.set_friendly_name(product.get_friendly_name())
        for taker in product.output(0).get_target_inputs():
            taker.replace_source_output(new.output(0))


def _number(value: float) -> Any:  # noqa: ANN401 -- OpenVINO ships no types
    return operations.constant(np.float32(value))
