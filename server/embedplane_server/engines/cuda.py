"""The GPU that CUDA calls device 0, through NVIDIA's own Python bindings (`cuda.bindings`, of cuda-python 13).

Imported in GPU images only, and there by need.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from cuda.bindings import runtime

from embedplane_server.engines.device import Bytes, Graph
from embedplane_server.errors import EngineError


class CudaDevice:
    """A `Device`: each method is one or two calls of the CUDA runtime."""

    def __init__(self) -> None:
        self._memory: list[int] = []
        self._pinned: list[int] = []
        self._streams: list[Any] = []

    def allocate(self, size: int) -> int:
        address = int(_done(runtime.cudaMalloc(size)))
        self._memory.append(address)
        return address

    def allocate_pinned(self, size: int) -> Bytes:
        address = int(_done(runtime.cudaMallocHost(size)))
        self._pinned.append(address)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def create_stream(self) -> int:
        # Other streams of the process, such as the default one, do not hold it up.
        stream = _done(runtime.cudaStreamCreateWithFlags(runtime.cudaStreamNonBlocking))
        self._streams.append(stream)
        return int(stream)

    def upload(self, address: int, content: Bytes, stream: int) -> None:
        kind = runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        _done(runtime.cudaMemcpyAsync(address, content.ctypes.data, content.nbytes, kind, stream))

    def download(self, content: Bytes, address: int, stream: int) -> None:
        kind = runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        _done(runtime.cudaMemcpyAsync(content.ctypes.data, address, content.nbytes, kind, stream))

    def synchronize(self, stream: int) -> None:
        _done(runtime.cudaStreamSynchronize(stream))

    def record(self, work: Callable[[], None], stream: int) -> Graph:
        # What other threads do on the device meanwhile is no part of it and does not end it.
        _done(runtime.cudaStreamBeginCapture(stream, runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal))
        try:
            work()
        finally:
            graph = _done(runtime.cudaStreamEndCapture(stream))
        try:
            return _done(runtime.cudaGraphInstantiate(graph, 0))
        finally:
            _done(runtime.cudaGraphDestroy(graph))

    def launch(self, graph: Graph, stream: int) -> None:
        _done(runtime.cudaGraphLaunch(graph, stream))

    def discard(self, graph: Graph) -> None:
        _done(runtime.cudaGraphExecDestroy(graph))

    def close(self) -> None:
        """Free all; what the driver says about it helps nobody any more."""
        for stream in self._streams:
            runtime.cudaStreamDestroy(stream)
        for address in self._memory:
            runtime.cudaFree(address)
        for address in self._pinned:
            runtime.cudaFreeHost(address)


def memory() -> tuple[int, int]:
    """Return how many bytes of the device are free, and how many it has; of a slice, the slice's."""
    error, free, total = runtime.cudaMemGetInfo()
    _done((error,))
    return int(free), int(total)


def _done(answer: tuple[Any, ...]) -> Any:  # noqa: ANN401 -- a handle, an address or nothing
    """Return what a call gives beside its error code."""
    error, *found = answer
    if error != runtime.cudaError_t.cudaSuccess:
        _, name = runtime.cudaGetErrorName(error)
        _, words = runtime.cudaGetErrorString(error)
        raise EngineError(f"CUDA: {name.decode()}: {words.decode()}")
    return found[0] if found else None
