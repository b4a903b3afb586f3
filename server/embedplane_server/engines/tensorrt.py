"""The TensorRT engine: padded batches through a plan, float32 vectors out.

Work runs on lanes. A lane is a stream with memory of its own, pinned on the host's side: a batch is copied over,
computed and copied back in one go without anybody waiting in between, and while one lane copies another computes.
Lone texts run as CUDA graphs, because launching some hundred kernels takes longer than their work.

Library and device come in as arguments: tests run all of this over numpy.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from queue import SimpleQueue
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedplane_server.engines.base import Batch, Vectors
from embedplane_server.engines.device import Copy, Device, Graph
from embedplane_server.engines.padding import padded, padded_length, padded_types, pooling_mask
from embedplane_server.engines.tensorrt_library import recorder
from embedplane_server.engines.tensorrt_shapes import LONE, Profile, Shape, chosen
from embedplane_server.engines.tensors import POOLING_MASK, TYPE_IDS
from embedplane_server.errors import EngineError

PLAN = "engine.plan"
"""The file of a serialized engine."""

LANES = 2
_GRAPHS_OF_A_LANE = 48
_LEAST_MEMORY = 256
_IDS = "input_ids"


class UnusablePlanError(Exception):
    """TensorRT does not load a plan here; the message is the library's."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a plan."""

    name: str
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a plan takes and gives: inputs that are all `[texts, tokens]`, one output `[texts, dimensions]`."""

    inputs: tuple[Tensor, ...]
    output: Tensor
    dimensions: int
    profiles: tuple[Profile, ...]


@dataclass
class Program:
    """An execution context, held at one profile, and perhaps a recording of its work in one shape.

    A context must not change after it was recorded, so each recording has one of its own.
    """

    context: Any
    graph: Graph | None = None


class Lane:
    """A stream, and memory for the largest rectangle of any profile."""

    def __init__(self, engine: Any, signature: Signature, device: Device, strategy: Any) -> None:  # noqa: ANN401 -- objects of the library
        self._engine = engine
        self._signature = signature
        self._device = device
        self._strategy = strategy
        self._stream = device.create_stream()
        profiles = range(len(signature.profiles))
        needed = max(int(engine.get_device_memory_size_for_profile_v2(profile)) for profile in profiles)
        self._work_size = max(needed, _LEAST_MEMORY)
        self._work = device.allocate(self._work_size)
        cells = max(prod(profile.most) for profile in signature.profiles)
        rows = max(profile.most[0] for profile in signature.profiles)
        self._inputs = {each.name: self._both_sides(cells * each.dtype.itemsize) for each in signature.inputs}
        self._output = self._both_sides(rows * signature.dimensions * signature.output.dtype.itemsize)
        self._programs: dict[int, Program] = {}
        self._recorded: OrderedDict[Shape, Program] = OrderedDict()

    def run(self, profile: int, inputs: Mapping[str, NDArray[Any]]) -> Vectors:
        """Return the output for one rectangle, which the profile takes."""
        shape = next(iter(inputs.values())).shape
        rows, length = shape
        for each in self._signature.inputs:
            values = np.ascontiguousarray(inputs[each.name], dtype=each.dtype)
            self._inputs[each.name].host[: values.nbytes] = values.reshape(-1).view(np.uint8)
        if profile == LONE:
            self._run_recorded(profile, (rows, length))
        else:
            program = self._programs.get(profile) or self._program(profile)
            self._programs[profile] = program
            self._prepare(program.context, (rows, length))
            self._enqueue(program.context, (rows, length))
        self._device.synchronize(self._stream)
        size = rows * self._signature.dimensions
        output = self._output.host[: size * self._signature.output.dtype.itemsize].view(self._signature.output.dtype)
        return np.array(output.reshape(rows, self._signature.dimensions), dtype=np.float32)

    def _run_recorded(self, profile: int, shape: Shape) -> None:
        """Run a shape as a CUDA graph; the first time it runs as it is, which also settles what a recording needs."""
        program = self._recorded.get(shape)
        if program is not None:
            self._recorded.move_to_end(shape)
            self._device.launch(program.graph, self._stream)
            return
        program = self._program(profile)
        self._prepare(program.context, shape)
        self._enqueue(program.context, shape)
        self._device.synchronize(self._stream)
        program.graph = self._device.record(lambda: self._enqueue(program.context, shape), self._stream)
        self._recorded[shape] = program
        if len(self._recorded) > _GRAPHS_OF_A_LANE:
            self._device.discard(self._recorded.popitem(last=False)[1].graph)

    def _program(self, profile: int) -> Program:
        context = self._engine.create_execution_context(self._strategy)
        if context is None:
            raise EngineError("TensorRT makes no execution context; the GPU's memory may be full")
        context.set_device_memory(self._work, self._work_size)
        _need(context.set_optimization_profile_async(profile, self._stream), f"profile {profile} cannot be chosen")
        self._device.synchronize(self._stream)
        for name, copy in self._inputs.items():
            _need(context.set_tensor_address(name, copy.address), f"{name} cannot be placed")
        output = self._signature.output.name
        _need(context.set_tensor_address(output, self._output.address), f"{output} cannot be placed")
        return Program(context)

    def _prepare(self, context: Any, shape: Shape) -> None:  # noqa: ANN401
        for each in self._signature.inputs:
            _need(context.set_input_shape(each.name, shape), f"{each.name} cannot have the shape {shape}")

    def _enqueue(self, context: Any, shape: Shape) -> None:  # noqa: ANN401
        for each in self._signature.inputs:
            copy = self._inputs[each.name]
            self._device.upload(copy.address, copy.host[: prod(shape) * each.dtype.itemsize], self._stream)
        _need(context.execute_async_v3(self._stream), "the plan cannot be run")
        size = shape[0] * self._signature.dimensions * self._signature.output.dtype.itemsize
        self._device.download(self._output.host[:size], self._output.address, self._stream)

    def _both_sides(self, size: int) -> Copy:
        return Copy(self._device.allocate_pinned(size), self._device.allocate(size))

    def close(self) -> None:
        """Drop contexts before the memory that they use."""
        for program in self._recorded.values():
            self._device.discard(program.graph)
        self._recorded.clear()
        self._programs.clear()


class TensorRtEngine:
    """An `Engine` over a plan."""

    def __init__(self, trt: ModuleType, plan: bytes, device: Device) -> None:
        """Load a plan; raises `UnusablePlanError` when TensorRT refuses it on this machine."""
        log = recorder(trt)
        # The library keeps no reference to either.
        self._kept = (log, runtime := trt.Runtime(log))
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise UnusablePlanError(log.told())
        self._device = device
        self._signature = read_signature(trt, engine)
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        self._lanes = [Lane(engine, self._signature, device, strategy) for _ in range(LANES)]
        self._free: SimpleQueue[Lane] = SimpleQueue()
        for lane in self._lanes:
            self._free.put(lane)
        self._window = max(profile.most[1] for profile in self._signature.profiles)
        self._takes = {each.name for each in self._signature.inputs}

    @property
    def dimensions(self) -> int:
        return self._signature.dimensions

    @property
    def token_dimensions(self) -> int | None:
        return None

    @property
    def parallel(self) -> int:
        return LANES

    @property
    def row_tokens(self) -> int | None:
        return None

    def enter_thread(self) -> None:
        """Do nothing: the device computes."""

    def embed(self, batch: Batch) -> Vectors:
        """Return the vectors of a batch, in as many rectangles as its profile needs."""
        if batch.every_token:
            raise EngineError("an engine of TensorRT has no vectors of single tokens")
        length = min(padded_length(batch.longest), self._window)
        profile = chosen(self._signature.profiles, len(batch.token_ids), length)
        most = self._signature.profiles[profile].most[0]
        lane = self._free.get()
        try:
            parts = [batch.token_ids[start : start + most] for start in range(0, len(batch.token_ids), most)]
            return np.concatenate([lane.run(profile, self._rectangles(part, length)) for part in parts])
        finally:
            self._free.put(lane)

    def _rectangles(self, token_ids: Sequence[Sequence[int]], length: int) -> dict[str, NDArray[np.int64]]:
        """Return what the plan takes, each `[texts, length]`."""
        inputs = padded(token_ids)
        if TYPE_IDS in self._takes:
            inputs[TYPE_IDS] = padded_types(token_ids)
        if POOLING_MASK in self._takes:
            inputs[POOLING_MASK] = pooling_mask(token_ids, inputs["attention_mask"])
        return {name: _as_long(values, length) for name, values in inputs.items()}

    def warm_up(self, window: int) -> None:
        """Record lone texts of each padded length, and run one batch of each profile, on every lane."""
        for lane in self._lanes:
            for index, profile in enumerate(self._signature.profiles):
                lengths = range(profile.least[1], min(profile.most[1], window) + 1)
                shapes = {min(padded_length(length), profile.most[1]) for length in lengths} if index == LONE else ()
                for length in sorted(shapes or {profile.most[1]}):
                    lane.run(index, self._rectangles([[0] * min(length, window)], length))

    def close(self) -> None:
        """Free contexts, then memory."""
        for lane in self._lanes:
            lane.close()
        self._device.close()


def read_signature(trt: ModuleType, engine: Any) -> Signature:  # noqa: ANN401
    """Return what a loaded plan says about itself; its inputs all have the same shapes."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs, outputs = (
        [Tensor(name, np.dtype(trt.nptype(engine.get_tensor_dtype(name)))) for name in names if mode_of(name) == mode]
        for mode_of in (engine.get_tensor_mode,)
        for mode in (trt.TensorIOMode.INPUT, trt.TensorIOMode.OUTPUT)
    )
    profiles = tuple(
        Profile(*(_shape(each) for each in engine.get_tensor_profile_shape(_IDS, index)))
        for index in range(engine.num_optimization_profiles)
    )
    dimensions = int(engine.get_tensor_shape(outputs[0].name)[-1])
    return Signature(tuple(inputs), outputs[0], dimensions, profiles)


def _shape(dimensions: Sequence[int]) -> Shape:
    rows, length = (int(each) for each in dimensions)
    return rows, length


def _as_long(values: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return a rectangle cut or filled up with nothing to a length."""
    if values.shape[1] >= length:
        return values[:, :length]
    return np.pad(values, ((0, 0), (0, length - values.shape[1])))


def _need(is_done: bool, problem: str) -> None:
    if not is_done:
        raise EngineError(f"TensorRT: {problem}")
