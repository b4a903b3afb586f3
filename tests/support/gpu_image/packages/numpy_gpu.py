"""A GPU and a TensorRT in numpy: memory is the host's, kernels are a function, streams run when they are waited for.

What a device leaves open is made to hurt here: memory starts as NaN, nothing in a stream has happened before it is
synchronised, and a context that was recorded refuses to be changed.

Methods have the names and parameters of TensorRT's, and annotations in its words: the module `tensorrt` beside this one
documents them so.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedplane_server.engines.tensorrt_shapes import Profile

Work = Callable[[], None]
Kernel = Callable[[dict[str, NDArray[Any]]], NDArray[np.float32]]


class NumpyDevice:
    """A `Device` that counts what it was asked to do."""

    def __init__(self) -> None:
        self.memory: dict[int, NDArray[np.uint8]] = {}
        self.streams: dict[int, list[Work]] = {}
        self.recordings: dict[int, list[Work]] = {}
        self.recorded = self.launched = self.discarded = 0
        self.is_closed = False
        self._handles = count(1)

    def allocate(self, size: int) -> int:
        return self.allocate_pinned(size).ctypes.data

    def allocate_pinned(self, size: int) -> NDArray[np.uint8]:
        memory = np.full(size, 0xFF, dtype=np.uint8)
        self.memory[memory.ctypes.data] = memory
        return memory

    def create_stream(self) -> int:
        stream = next(self._handles)
        self.streams[stream] = []
        return stream

    def put(self, work: Work, stream: int) -> None:
        self.recordings.get(stream, self.streams[stream]).append(work)

    def copy(self, target: int, source: int, size: int, stream: int) -> None:
        self.put(lambda: ctypes.memmove(target, source, size) and None, stream)

    def upload(self, address: int, content: NDArray[np.uint8], stream: int) -> None:
        self.copy(address, content.ctypes.data, content.nbytes, stream)

    def download(self, content: NDArray[np.uint8], address: int, stream: int) -> None:
        self.copy(content.ctypes.data, address, content.nbytes, stream)

    def synchronize(self, stream: int) -> None:
        assert stream not in self.recordings, "waiting for a stream ends its recording"
        waiting, self.streams[stream] = self.streams[stream], []
        for work in waiting:
            work()

    def begin_recording(self, stream: int) -> None:
        self.recordings[stream] = []

    def end_recording(self, stream: int) -> list[Work]:
        self.recorded += 1
        return self.recordings.pop(stream)

    def record(self, work: Work, stream: int) -> list[Work]:
        self.begin_recording(stream)
        try:
            work()
        finally:
            graph = self.end_recording(stream)
        return graph

    def launch(self, graph: list[Work], stream: int) -> None:
        self.launched += 1
        self.streams[stream].extend(graph)

    def discard(self, graph: list[Work]) -> None:
        self.discarded += 1
        graph.clear()

    def close(self) -> None:
        self.is_closed = True


class TensorIOMode(Enum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class DataType(IntEnum):
    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    BF16 = 7
    INT64 = 8


class ExecutionContextAllocationStrategy(IntEnum):
    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


Dims = tuple[int, int]
_NUMPY_TYPES = {DataType.FLOAT: np.float32, DataType.INT64: np.int64}


def nptype(trt_type):
    return _NUMPY_TYPES[trt_type]


class Logger:
    """TensorRT's own, which its subclass has to call."""

    Severity = Enum("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE")
    is_made = False

    def __init__(self) -> None:
        self.is_made = True


@dataclass
class NumpyPlan:
    """What an engine of `NumpyTensorRt` is: the names and types that go in, and what comes out of them."""

    inputs: Sequence[str]
    kernel: Kernel
    dimensions: int
    profiles: Sequence[Profile]
    device: NumpyDevice
    output: str = "sentence_embedding"
    contexts: list[NumpyContext] = field(default_factory=list)

    @property
    def num_io_tensors(self) -> int:
        return len(self.inputs) + 1

    @property
    def num_optimization_profiles(self) -> int:
        return len(self.profiles)

    def get_tensor_name(self, index: int) -> str:
        return [*self.inputs, self.output][index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.OUTPUT if name == self.output else TensorIOMode.INPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType.FLOAT if name == self.output else DataType.INT64

    def get_tensor_shape(self, name: str) -> Dims:
        return (-1, self.dimensions if name == self.output else -1)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Dims]:
        assert name in self.inputs
        profile = self.profiles[profile_index]
        return [profile.least, profile.usual, profile.most]

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        return 1024 * (profile_index + 1)

    def create_execution_context(
        self, strategy: ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy.STATIC
    ) -> IExecutionContext:
        assert strategy is ExecutionContextAllocationStrategy.USER_MANAGED
        self.contexts.append(NumpyContext(self))
        return self.contexts[-1]


class NumpyContext:
    """An execution context: the shapes and addresses that the next run has."""

    def __init__(self, plan: NumpyPlan) -> None:
        self.plan = plan
        self.profile: Profile | None = None
        self.memory = 0
        self.shapes: dict[str, tuple[int, int]] = {}
        self.addresses: dict[str, int] = {}
        self.is_recorded = False

    def set_device_memory(self, memory: int, size: int) -> None:
        assert size >= 1024 * len(self.plan.profiles)
        self.memory = memory

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        self.plan.device.put(lambda: None, stream_handle)
        self.profile = self.plan.profiles[profile_index]
        return True

    def set_input_shape(self, name: str, shape: tuple) -> bool:
        assert not self.is_recorded, "a recorded context was changed"
        assert self.profile is not None
        pairs = zip(self.profile.least, shape, self.profile.most, strict=True)
        self.shapes[name] = shape
        return all(least <= given <= most for least, given, most in pairs)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert self.memory
        self.is_recorded = self.is_recorded or stream_handle in self.plan.device.recordings
        shapes = dict(self.shapes)
        self.plan.device.put(lambda: self._run(shapes), stream_handle)
        return set(shapes) == set(self.plan.inputs)

    def _run(self, shapes: dict[str, tuple[int, int]]) -> None:
        inputs = {name: _view(self.addresses[name], np.int64, shape) for name, shape in shapes.items()}
        result = self.plan.kernel(inputs)
        _view(self.addresses[self.plan.output], np.float32, result.shape)[:] = result


def numpy_tensorrt(plan: NumpyPlan | None, words: str = "") -> Any:
    """Return what stands for the module `tensorrt`: it loads one plan, or none and says why."""

    class Runtime:
        def __init__(self, logger: Any) -> None:
            assert getattr(logger, "is_made", True)  # only the real TensorRT-RTX has loggers of its own kind
            self.logger = logger

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> NumpyPlan | None:
            if plan is None:
                self.logger.log(Logger.Severity.ERROR, words)
            return plan

    return SimpleNamespace(
        ILogger=Logger,
        Runtime=Runtime,
        ExecutionContextAllocationStrategy=ExecutionContextAllocationStrategy,
        TensorIOMode=TensorIOMode,
        nptype=nptype,
    )


def _view(address: int, dtype: type[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
    return raw.view(dtype).reshape(shape)


IExecutionContext = NumpyContext
ICudaEngine = NumpyPlan
