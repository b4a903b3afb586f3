"""The OpenVINO engine for CPUs: padded batches in a dynamic-shape graph, float32 vectors out.

Lengths are padded to a grid, because every new input shape costs OpenVINO 5 to 15 ms once. Compiling is all there is to
loading; proving and measuring an engine is in `builders`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from embedplane_server.engines.base import Batch, Vectors
from embedplane_server.errors import EngineError

_PRECISION_HINTS = {"float32": "f32", "bfloat16": "bf16"}

# A stream of its own pays from so many threads, and for so many tokens of a batch.
_THREADS_A_STREAM = 4
_TOKENS_A_STREAM = 256

_WARM_LENGTH = 512


@dataclass(frozen=True, slots=True)
class OpenVinoOptions:
    """How a graph is compiled."""

    precision: str
    threads: int

    @property
    def streams(self) -> int:
        return max(1, self.threads // _THREADS_A_STREAM)


class OpenVinoEngine:
    """An `Engine`: one compiled graph, one inference request a stream."""

    def __init__(self, graph: Path, options: OpenVinoOptions) -> None:
        properties: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _PRECISION_HINTS[options.precision],
            "INFERENCE_NUM_THREADS": options.threads,
            "NUM_STREAMS": options.streams,
            # Pinned threads of two pods on one node would share the same first cores.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = openvino.Core().compile_model(str(graph), "CPU", properties)
        self._requests = [self._compiled.create_infer_request() for _ in range(options.streams)]
        self._dimensions = int(self._compiled.output(0).partial_shape[1].get_length())

    @property
    def dimensions(self) -> int:
        return self._dimensions

    def embed(self, batch: Batch) -> Vectors:
        """Return the vectors; streams share the batch in parts of similar lengths."""
        vectors = np.empty((len(batch.token_ids), self._dimensions), dtype=np.float32)
        parts = split_rows([len(ids) for ids in batch.token_ids], len(self._requests))
        try:
            for request, rows in zip(self._requests, parts, strict=False):
                request.start_async(_padded([batch.token_ids[row] for row in rows]))
            for request, rows in zip(self._requests, parts, strict=False):
                request.wait()
                vectors[rows] = request.get_output_tensor(0).data
        except RuntimeError as error:
            raise EngineError(str(error).strip().split("\n", 1)[0]) from error
        return vectors

    def warm_up(self, window: int) -> None:
        """Run one text of each padded length up to a limit, so that early requests need not wait for new shapes."""
        lengths = {padded_length(length) for length in range(1, min(window, _WARM_LENGTH) + 1)}
        for length in sorted(length for length in lengths if length <= window):
            self.embed(Batch([[0] * length]))

    def close(self) -> None:
        """Drop requests and graph."""
        self._requests.clear()
        del self._compiled


def padded_length(length: int) -> int:
    """Return the length on the grid: steps of 8 up to 64 tokens, of 16 up to 256, of 32 above."""
    step = 8 if length <= 64 else 16 if length <= 256 else 32
    return -(-length // step) * step


def split_rows(lengths: Sequence[int], streams: int) -> list[list[int]]:
    """Cut the rows, ordered by length, into parts of about the same work."""
    rows = sorted(range(len(lengths)), key=lengths.__getitem__)
    count = max(1, min(streams, len(rows), sum(lengths) // _TOKENS_A_STREAM))
    done = np.cumsum([lengths[row] for row in rows])
    cuts = [0, *(int(np.searchsorted(done, done[-1] * part / count)) for part in range(1, count)), len(rows)]
    return [rows[start:end] for start, end in pairwise(cuts) if end > start]


def _padded(token_ids: Sequence[Sequence[int]]) -> dict[str, Any]:
    shape = (len(token_ids), padded_length(max(len(ids) for ids in token_ids)))
    input_ids = np.zeros(shape, dtype=np.int64)
    attention_mask = np.zeros(shape, dtype=np.int64)
    for row, ids in enumerate(token_ids):
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}
