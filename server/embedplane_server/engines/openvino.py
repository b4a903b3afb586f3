"""The OpenVINO engine for CPUs: packed or padded batches in a dynamic-shape graph, float32 vectors out.

Two streams of one thread do more than one stream of two: nothing waits for the slower half of each layer. So batches
run side by side, one a stream, and only a batch that is alone gets a graph that spreads over all threads. A graph that
has one stream of one thread is computed by the thread that calls, without handing over and back.

A graph tells by its inputs whether it takes packed rows (`packing.py`) or one text a row (`padding.py`). Compiling is
all there is to loading; proving and measuring an engine is in `builders`.
"""

import os
import sys
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from embedplane_server.engines.base import Batch, Vectors
from embedplane_server.engines.packing import PLACES, ROW, packed
from embedplane_server.engines.padding import padded, padded_length, padded_types, pooling_mask
from embedplane_server.engines.tensors import POOLING_MASK, TOKEN_VECTORS, TYPE_IDS
from embedplane_server.errors import EngineError

# What is not in 8 bits in a graph of int8 is in bfloat16.
_PRECISION_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "bf16"}

# Up to so many streams have one thread each. With more threads the streams get wider before they get more, because
# the more batches run side by side, the longer each takes.
_NARROW_STREAMS = 4
_WIDEST_STREAM = 4

_WARM_LENGTH = 512

# OpenVINO keeps what it compiles for each shape of a batch: with MiniLM 400 KB a stream. Its own bound has room for
# more shapes than days of requests make; this one for about 190, and packed batches have fewer.
_KEPT_OF_EACH_KIND = 512

# Streams of one graph share its weights. Weights of so many bytes on disk are worth having once a stream: a batch of a
# small model is so short that handing it over counts.
_SMALL_WEIGHTS = 128 * 1024 * 1024

NICENESS = 10
"""Of the threads of batches side by side, which take whatever the others leave."""


@dataclass(frozen=True, slots=True)
class OpenVinoOptions:
    """How a graph is compiled."""

    precision: str
    threads: int

    @property
    def streams(self) -> int:
        return min(self.threads, max(_NARROW_STREAMS, self.threads // _WIDEST_STREAM))

    def in_callers(self, weights: int) -> bool:
        """Tell whether batches side by side are computed by the threads that call, for weights of so many bytes."""
        return self.threads == self.streams and (self.streams == 1 or weights <= _SMALL_WEIGHTS)

    def compile(
        self,
        core: Any,  # noqa: ANN401 -- OpenVINO ships no types
        model: Any,  # noqa: ANN401 -- as above
        streams: int,
        threads: int,
    ) -> list[Any]:
        """Return an inference request for each stream."""
        properties: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _PRECISION_HINTS[self.precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            # Pinned threads of two pods on one node would share the same first cores.
            "ENABLE_CPU_PINNING": False,
            "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_OF_EACH_KIND,
        }
        # OpenVINO's threads inherit the priority of the thread that compiles.
        with ThreadPoolExecutor(1, initializer=_give_way) as compiler:
            compiled = compiler.submit(core.compile_model, model, "CPU", properties).result()
        return [compiled.create_infer_request() for _ in range(streams)]


def _give_way() -> None:
    """Let all other threads go before this one: nobody waits for a time slice of a batch to parse or answer."""
    if sys.platform == "linux":  # where each thread has a priority of its own
        os.nice(NICENESS)  # of this thread alone


class CompiledOutput:
    """A graph compiled for one of its outputs; what only others need falls away.

    There is one inference request a stream, and one over all threads for batches that are alone.
    """

    def __init__(self, graph: Path, output: int, options: OpenVinoOptions) -> None:
        core = openvino.Core()
        whole = core.read_model(str(graph))
        self.widths = {tensor.get_any_name(): _width(tensor) for tensor in whole.outputs}
        model = openvino.Model([whole.get_results()[output]], whole.get_parameters(), whole.get_name())
        self.in_callers = options.in_callers(graph.with_suffix(".bin").stat().st_size)
        graphs, streams = (options.streams, 1) if self.in_callers else (1, options.streams)
        self._streams: SimpleQueue[Any] = SimpleQueue()
        for _ in range(graphs):
            for request in options.compile(core, model, streams, options.threads // graphs):
                self._streams.put(request)
        self._whole: SimpleQueue[Any] = self._streams
        if options.streams > 1:
            self._whole = SimpleQueue()
            self._whole.put(options.compile(core, model, 1, options.threads)[0])
        self._takes = {name for tensor in model.inputs for name in tensor.get_names()}
        self.takes_rows = PLACES in self._takes
        self.dimensions = _width(model.output(0))

    def run(self, batch: Batch) -> NDArray[np.float32]:
        """Return the output for a batch, one row a text, computed by the next free stream."""
        inputs = graph_inputs(self._takes, batch.token_ids)
        requests = self._whole if batch.alone else self._streams
        request = requests.get()
        try:
            request.infer(inputs, share_inputs=True)
            return np.array(request.get_output_tensor(0).data[: len(batch.token_ids)], dtype=np.float32)
        finally:
            requests.put(request)


def graph_inputs(names: Collection[str], token_ids: Sequence[Sequence[int]]) -> dict[str, NDArray[np.int64]]:
    """Return what a graph with inputs of these names takes for texts."""
    if PLACES in names:
        return packed(token_ids)
    inputs = padded(token_ids)
    if TYPE_IDS in names:
        inputs[TYPE_IDS] = padded_types(token_ids)
    if POOLING_MASK in names:
        inputs[POOLING_MASK] = pooling_mask(token_ids, inputs["attention_mask"])
    return inputs


def _width(tensor: Any) -> int:  # noqa: ANN401 -- OpenVINO ships no types
    return int(tensor.partial_shape[tensor.partial_shape.rank.get_length() - 1].get_length())


class OpenVinoEngine:
    """An `Engine`: the graph up to its vectors, and up to the tokens' own once somebody asks for these."""

    def __init__(self, graph: Path, options: OpenVinoOptions) -> None:
        self._graph = graph
        self._options = options
        self._vectors = CompiledOutput(graph, 0, options)
        self._tokens: CompiledOutput | None = None
        self._compiling = Lock()

    @property
    def dimensions(self) -> int:
        return self._vectors.dimensions

    @property
    def token_dimensions(self) -> int | None:
        return self._vectors.widths.get(TOKEN_VECTORS)

    @property
    def parallel(self) -> int:
        return self._options.streams

    @property
    def row_tokens(self) -> int | None:
        return ROW if self._vectors.takes_rows else None

    def enter_thread(self) -> None:
        """Have it give way to all other threads, if it is the one that computes."""
        if self._vectors.in_callers:
            _give_way()

    def embed(self, batch: Batch) -> Vectors:
        """Return the vectors of texts, or those of their tokens without what was padded."""
        try:
            if not batch.every_token:
                return self._vectors.run(batch)
            found = self._of_tokens().run(batch)
        except RuntimeError as error:
            raise EngineError(str(error).strip().split("\n", 1)[0]) from error
        return np.concatenate([rows[: len(ids)] for rows, ids in zip(found, batch.token_ids, strict=True)])

    def _of_tokens(self) -> CompiledOutput:
        with self._compiling:
            if self._tokens is None:  # few ask: whoever does waits for it, and the weights are in memory twice
                self._tokens = CompiledOutput(self._graph, 1, self._options)
            return self._tokens

    def warm_up(self, window: int) -> None:
        """Run one text of each padded length up to a limit, so that lone requests need not wait for new shapes."""
        for length in sorted({padded_length(length) for length in range(1, min(window, _WARM_LENGTH) + 1)}):
            self.embed(Batch([[0] * min(length, window)], alone=True))

    def close(self) -> None:
        """Drop requests and graphs."""
        self._tokens = None
        del self._vectors
