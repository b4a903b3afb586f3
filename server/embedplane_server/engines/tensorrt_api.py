"""All of TensorRT's Python API that Embedplane uses, as the pinned release documents it.

Tests hold this list against the bindings of that release; a build compares it with the image's own before any work, so
that another release is named instead of failing half-way. Only names are here: what they do is in `tensorrt.py` beside
this module, and in `builders`.
"""

import re
from types import ModuleType
from typing import Any

from embedplane_server.errors import PermanentError, PermanentReason

PINNED_VERSION = "10.14.1.48"

SIGNATURES = (
    "ILogger.__init__() -> None",
    "Builder.__init__(logger: ILogger) -> None",
    "Builder.create_network(flags: int = 0) -> INetworkDefinition",
    "Builder.create_builder_config() -> IBuilderConfig",
    "Builder.create_optimization_profile() -> IOptimizationProfile",
    "Builder.build_serialized_network(network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory",
    "OnnxParser.__init__(network: INetworkDefinition, logger: ILogger) -> None",
    "OnnxParser.parse_from_file(model: str) -> bool",
    "OnnxParser.get_error(index: int) -> IParserError",
    "ParserError.desc() -> str",
    "ParserError.node_name() -> str",
    "ParserError.node_operator() -> str",
    "INetworkDefinition.get_input(index: int) -> ITensor",
    "IOptimizationProfile.set_shape(input: str, min: Dims, opt: Dims, max: Dims) -> None",
    "IBuilderConfig.clear_flag(flag: BuilderFlag) -> None",
    "IBuilderConfig.add_optimization_profile(profile: IOptimizationProfile) -> int",
    "IBuilderConfig.create_timing_cache(serialized_timing_cache: buffer) -> ITimingCache",
    "IBuilderConfig.set_timing_cache(cache: ITimingCache, ignore_mismatch: bool) -> bool",
    "IBuilderConfig.get_timing_cache() -> ITimingCache",
    "ITimingCache.serialize() -> IHostMemory",
    "Runtime.__init__(logger: ILogger) -> None",
    "Runtime.deserialize_cuda_engine(serialized_engine: buffer) -> ICudaEngine",
    (
        "ICudaEngine.create_execution_context(strategy: ExecutionContextAllocationStrategy = <STATIC: 0>)"
        " -> IExecutionContext"
    ),
    "ICudaEngine.get_device_memory_size_for_profile_v2(profile_index: int) -> int",
    "ICudaEngine.get_tensor_name(index: int) -> str",
    "ICudaEngine.get_tensor_dtype(name: str) -> DataType",
    "ICudaEngine.get_tensor_mode(name: str) -> TensorIOMode",
    "ICudaEngine.get_tensor_shape(name: str) -> Dims",
    "ICudaEngine.get_tensor_profile_shape(name: str, profile_index: int) -> List[Dims]",
    "IExecutionContext.set_optimization_profile_async(profile_index: int, stream_handle: int) -> bool",
    "IExecutionContext.set_device_memory(memory: int, size: int) -> None",
    "IExecutionContext.set_input_shape(name: str, shape: tuple) -> bool",
    "IExecutionContext.set_tensor_address(name: str, memory: int) -> bool",
    "IExecutionContext.execute_async_v3(stream_handle: int) -> bool",
    "nptype(trt_type)",
)
"""Methods and functions, as their documentation spells them, without modules and without `self`."""

PROPERTIES = (
    "OnnxParser.num_errors",
    "INetworkDefinition.num_inputs",
    "ITensor.name",
    "ICudaEngine.num_io_tensors",
    "ICudaEngine.num_optimization_profiles",
)

MEMBERS = {
    "BuilderFlag": ("TF32",),
    "NetworkDefinitionCreationFlag": ("STRONGLY_TYPED",),
    "ExecutionContextAllocationStrategy": ("USER_MANAGED",),
    "TensorIOMode": ("INPUT", "OUTPUT"),
    "ILogger.Severity": ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"),
    "DataType": ("FLOAT", "INT32", "INT64"),
}

# Newer generators of bindings spell the same types in another way.
_SPELLINGS = (("SupportsInt", "int"), ("Buffer", "buffer"), ("list[", "List["))
_MODULES = re.compile(r"\b(?:\w+(?:\.|::))+(?=[A-Za-z_])")


def check_api(trt: ModuleType) -> None:
    """Refuse a library that is not the one that this was written against; the message names what differs."""
    if not (found := differences(trt)):
        return
    raise PermanentError(
        PermanentReason.BACKEND_CHANGED,
        f"TensorRT {getattr(trt, '__version__', '?')} of this image differs from {PINNED_VERSION}, for which this "
        f"version of Embedplane was written: {'; '.join(found[:3])}{'; ...' if len(found) > 3 else ''}. Use the image "
        "of this version (Helm value images.gpuServer).",
    )


def differences(trt: ModuleType) -> list[str]:
    """Say for each name that is not as listed what it is instead."""
    return [
        *(problem for each in SIGNATURES if (problem := _signature_problem(trt, each))),
        *(f"{each} is missing" for each in PROPERTIES if not isinstance(_found(trt, each), property)),
        *(
            f"{owner}.{member} is missing"
            for owner, members in MEMBERS.items()
            for member in members
            if not hasattr(_found(trt, owner), member)
        ),
    ]


def _signature_problem(trt: ModuleType, signature: str) -> str | None:
    path, _, rest = signature.partition("(")
    found = _found(trt, path)
    if found is None:
        return f"{path} is missing"
    name = path.rpartition(".")[2]
    if path == name:
        code = found.__code__
        return None if f"({', '.join(code.co_varnames[: code.co_argcount])})" == f"({rest}" else f"{path} takes others"
    spelled = [_spelled(line, name) for line in (found.__doc__ or "").splitlines() if f"{name}(self" in line]
    return None if f"{name}({rest}" in spelled else f"{path} is {' or '.join(spelled) or 'without a signature'}"


def _spelled(line: str, name: str) -> str:
    """Return a line of documentation as `SIGNATURES` spells it."""
    line = line[line.index(f"{name}(self") :].strip()
    for theirs, ours in _SPELLINGS:
        line = line.replace(theirs, ours)
    return re.sub(r"\(self: \w+(?:, )?", "(", _MODULES.sub("", line))


def _found(trt: ModuleType, path: str) -> Any:  # noqa: ANN401 -- anything that a module may hold
    found: Any = trt
    for part in path.split("."):
        if found is not None:
            found = getattr(found, part, None)
    return found
