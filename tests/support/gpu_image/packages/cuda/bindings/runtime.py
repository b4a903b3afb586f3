# ruff: noqa: N801, N802, N815, N816 -- the names are NVIDIA's
"""The calls of the CUDA runtime that the server makes, on a device of numpy. Each returns an error code and results."""

from __future__ import annotations

from enum import IntEnum

from numpy_gpu import NumpyDevice

DEVICE = NumpyDevice()
cudaStreamNonBlocking = 1
_MEMORY = 23034 << 20  # an L4's


class cudaError_t(IntEnum):
    cudaSuccess = 0


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class cudaStreamCaptureMode(IntEnum):
    cudaStreamCaptureModeThreadLocal = 1


_DONE = (cudaError_t.cudaSuccess,)


def cudaGetErrorName(error):
    return (*_DONE, error.name.encode())


def cudaGetErrorString(error):
    return (*_DONE, b"no error")


def cudaMalloc(size):
    return (*_DONE, DEVICE.allocate(size))


def cudaMallocHost(size):
    return (*_DONE, DEVICE.allocate(size))


def cudaFree(address):
    del DEVICE.memory[address]
    return _DONE


cudaFreeHost = cudaFree


def cudaMemGetInfo():
    held = sum(each.nbytes for each in DEVICE.memory.values())
    return (*_DONE, _MEMORY - held, _MEMORY)


def cudaStreamCreateWithFlags(flags):
    assert flags == cudaStreamNonBlocking
    return (*_DONE, DEVICE.create_stream())


def cudaStreamDestroy(stream):
    del DEVICE.streams[stream]
    return _DONE


def cudaStreamSynchronize(stream):
    DEVICE.synchronize(stream)
    return _DONE


def cudaMemcpyAsync(target, source, size, kind, stream):
    assert kind in cudaMemcpyKind
    DEVICE.copy(target, source, size, stream)
    return _DONE


def cudaStreamBeginCapture(stream, mode):
    assert mode is cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    DEVICE.begin_recording(stream)
    return _DONE


def cudaStreamEndCapture(stream):
    return (*_DONE, DEVICE.end_recording(stream))


def cudaGraphInstantiate(graph, flags):
    return (*_DONE, list(graph))


def cudaGraphDestroy(graph):
    graph.clear()
    return _DONE


def cudaGraphLaunch(graph, stream):
    DEVICE.launch(graph, stream)
    return _DONE


def cudaGraphExecDestroy(graph):
    DEVICE.discard(graph)
    return _DONE
