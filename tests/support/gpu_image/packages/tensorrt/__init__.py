"""TensorRT 10.14.1, as far as the server calls it: OpenVINO computes the graphs on the CPU, in float32.

A plan is the ONNX graph that it was built from, with its profiles. What the real library checks is checked here, too:
flags, shapes of profiles, whose plan and whose timing cache it is.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import onnx
import openvino
from cuda.bindings.runtime import DEVICE
from numpy_gpu import (
    DataType,
    Dims,
    ExecutionContextAllocationStrategy,
    ICudaEngine,
    IExecutionContext,
    TensorIOMode,
    nptype,
)
from numpy_gpu import Logger as ILogger

from embedplane_server.engines.tensorrt_shapes import Profile

__all__ = ["DataType", "ExecutionContextAllocationStrategy", "IExecutionContext", "TensorIOMode", "nptype"]
__version__ = "10.14.1.48"

IHostMemory = buffer = bytes
_PLAN = b"imitated plan of TensorRT " + __version__.encode() + b"\n"
_TIMES = b"imitated times of kernels\n"


class BuilderFlag(IntEnum):
    FP16 = 0
    TF32 = 7


class NetworkDefinitionCreationFlag(IntEnum):
    EXPLICIT_BATCH = 0
    STRONGLY_TYPED = 1


class ITensor:
    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        return self._name


class INetworkDefinition:
    def __init__(self) -> None:
        self.graph = b""
        self.inputs: list[ITensor] = []

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    def get_input(self, index: int) -> ITensor:
        return self.inputs[index]


class IParserError:
    def __init__(self, words: str) -> None:
        self.words = words

    def desc(self) -> str:
        return self.words

    def node_name(self) -> str:
        return "graph"

    def node_operator(self) -> str:
        return "Model"


ParserError = IParserError


class OnnxParser:
    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        assert logger.is_made
        self._network = network
        self._errors: list[IParserError] = []

    def parse_from_file(self, model: str) -> bool:
        try:
            graph = onnx.load(model)
            content = graph.SerializeToString()
            openvino.Core().read_model(content)
        except Exception as error:  # whatever is wrong with a graph, the parser says so
            self._errors.append(IParserError(str(error)))
            return False
        self._network.graph = content
        self._network.inputs = [ITensor(each.name) for each in graph.graph.input]
        return True

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> IParserError:
        return self._errors[index]


class IOptimizationProfile:
    def __init__(self) -> None:
        self.shapes: dict[str, tuple[Dims, Dims, Dims]] = {}

    def set_shape(self, input: str, min: Dims, opt: Dims, max: Dims) -> None:  # noqa: A002 -- TensorRT's names
        assert all(least <= usual <= most for least, usual, most in zip(min, opt, max, strict=True))
        self.shapes[input] = (min, opt, max)


class ITimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> IHostMemory:
        return self.content


class IBuilderConfig:
    def __init__(self) -> None:
        self.flags = {BuilderFlag.TF32}
        self.profiles: list[IOptimizationProfile] = []
        self.cache: ITimingCache | None = None

    def clear_flag(self, flag: BuilderFlag) -> None:
        self.flags.discard(flag)

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: buffer) -> ITimingCache:
        return ITimingCache(serialized_timing_cache or _TIMES)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        if cache.content != _TIMES:
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> ITimingCache:
        return self.cache


class Builder:
    def __init__(self, logger: ILogger) -> None:
        assert logger.is_made
        self._logger = logger

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory:
        assert BuilderFlag.TF32 not in config.flags
        inputs = [each.name for each in network.inputs]
        for profile in config.profiles:
            if set(profile.shapes) != set(inputs):
                self._logger.log(ILogger.Severity.ERROR, "a profile says nothing about one of the inputs")
                return None
        about = {"inputs": inputs, "profiles": [profile.shapes[inputs[0]] for profile in config.profiles]}
        return _PLAN + json.dumps(about).encode() + b"\n" + network.graph


class Runtime:
    def __init__(self, logger: ILogger) -> None:
        assert logger.is_made
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: buffer) -> ICudaEngine:
        if not serialized_engine.startswith(_PLAN):
            self._logger.log(ILogger.Severity.ERROR, "the engine plan is not of this version of TensorRT")
            return None
        about, _, graph = serialized_engine.removeprefix(_PLAN).partition(b"\n")
        return _loaded(graph, **json.loads(about))


def _loaded(graph: bytes, inputs: Sequence[str], profiles: Sequence[Any]) -> ICudaEngine:
    """Return a plan that computes the graph; each run has a request of its own, since lanes run side by side."""
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    output = compiled.output(0)

    def kernel(given: dict[str, Any]) -> Any:
        return compiled.create_infer_request().infer(given, share_inputs=True)[output]

    ranges = [Profile(*(tuple(shape) for shape in each)) for each in profiles]
    dimensions = output.partial_shape[1].get_length()
    return ICudaEngine(inputs, kernel, dimensions, ranges, DEVICE, output.any_name)


def _document(cls: type) -> None:
    """Document the methods of a class as the generator of the real bindings does: a check of the API reads that."""
    for name, method in inspect.getmembers(cls, inspect.isfunction):
        told = inspect.signature(method)
        _, *parameters = told.parameters.values()
        taken = [f"self: tensorrt.{cls.__name__}", *(_told(each) for each in parameters)]
        method.__doc__ = f"{name}({', '.join(taken)}) -> {told.return_annotation}"


def _told(parameter: inspect.Parameter) -> str:
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {parameter.annotation}{default}"


for _cls in (
    ILogger, Builder, OnnxParser, IParserError, INetworkDefinition, IOptimizationProfile, IBuilderConfig, ITimingCache,
    Runtime, ICudaEngine, IExecutionContext,
):  # fmt: skip
    _document(_cls)
