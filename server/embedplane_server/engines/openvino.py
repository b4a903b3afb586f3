"""The OpenVINO engine for CPUs: padded batches in a dynamic-shape graph, float32 vectors out.

Two streams of one thread do more than one stream of two: nothing waits for the slower half of each layer. So batches
run side by side, one a stream, and only a batch that is alone gets a graph that spreads over all threads.

Lengths are padded to a grid, because every new input shape costs OpenVINO 5 to 15 ms once. Compiling is all there is to
loading; proving and measuring an engine is in `builders`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from embedplane_server.engines.base import Batch, TypedIds, Vectors
from embedplane_server.errors import EngineError

_PRECISION_HINTS = {"float32": "f32", "bfloat16": "bf16"}

# Up to so many streams have one thread each. With more threads the streams get wider before they get more, because
# the more batches run side by side, the longer each takes.
_NARROW_STREAMS = 4
_WIDEST_STREAM = 4

_WARM_LENGTH = 512

TYPE_IDS = "token_type_ids"
"""An input that only graphs of models with several types of tokens have."""


@dataclass(frozen=True, slots=True)
class OpenVinoOptions:
    """How a graph is compiled."""

    precision: str
    threads: int

    @property
    def streams(self) -> int:
        return min(self.threads, max(_NARROW_STREAMS, self.threads // _WIDEST_STREAM))


class OpenVinoEngine:
    """An `Engine`: one inference request a stream, and one over all threads for batches that are alone."""

    def __init__(self, graph: Path, options: OpenVinoOptions) -> None:
        core = openvino.Core()
        model = core.read_model(str(graph))
        self._streams: SimpleQueue[Any] = SimpleQueue()
        for request in _requests(core, model, options, options.streams):
            self._streams.put(request)
        self._whole: SimpleQueue[Any] = self._streams
        if options.streams > 1:
            self._whole = SimpleQueue()
            self._whole.put(_requests(core, model, options, 1)[0])
        self._parallel = options.streams
        self._takes_types = any(TYPE_IDS in tensor.get_names() for tensor in model.inputs)
        self._dimensions = int(model.output(0).partial_shape[1].get_length())

    @property
    def dimensions(self) -> int:
        return self._dimensions

    @property
    def parallel(self) -> int:
        return self._parallel

    def embed(self, batch: Batch) -> Vectors:
        """Return the vectors, computed by the next free stream."""
        inputs = self._padded(batch.token_ids)
        requests = self._whole if batch.alone else self._streams
        request = requests.get()
        try:
            request.infer(inputs, share_inputs=True)
            return np.array(request.get_output_tensor(0).data, dtype=np.float32)
        except RuntimeError as error:
            raise EngineError(str(error).strip().split("\n", 1)[0]) from error
        finally:
            requests.put(request)

    def _padded(self, token_ids: Sequence[Sequence[int]]) -> dict[str, Any]:
        inputs = padded(token_ids)
        return {**inputs, TYPE_IDS: padded_types(token_ids)} if self._takes_types else inputs

    def warm_up(self, window: int) -> None:
        """Run one text of each padded length up to a limit, so that lone requests need not wait for new shapes."""
        for length in sorted({padded_length(length) for length in range(1, min(window, _WARM_LENGTH) + 1)}):
            self.embed(Batch([[0] * min(length, window)], alone=True))

    def close(self) -> None:
        """Drop requests and graphs."""
        self._streams = self._whole = SimpleQueue()


def padded_length(length: int) -> int:
    """Return the length on the grid: steps of 2 up to 32 tokens, of 8 up to 64, of 16 up to 256, of 32 above."""
    step = 2 if length <= 32 else 8 if length <= 64 else 16 if length <= 256 else 32
    return -(-length // step) * step


def _requests(core: Any, model: Any, options: OpenVinoOptions, streams: int) -> list[Any]:  # noqa: ANN401 -- no types
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _PRECISION_HINTS[options.precision],
        "INFERENCE_NUM_THREADS": options.threads,
        "NUM_STREAMS": streams,
        # Pinned threads of two pods on one node would share the same first cores.
        "ENABLE_CPU_PINNING": False,
    }
    compiled = core.compile_model(model, "CPU", properties)
    return [compiled.create_infer_request() for _ in range(streams)]


def padded(token_ids: Sequence[Sequence[int]]) -> dict[str, Any]:
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
