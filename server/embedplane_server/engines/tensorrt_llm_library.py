"""TensorRT-LLM and what it stands on: imported by need, in the GPU image only."""

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from embedplane_server.engines.torch_arrays import TorchArrays
from embedplane_server.errors import PermanentError, PermanentReason


class Stream(Protocol):
    """Where work is queued; its handle is 0 for the device's own."""

    @property
    def handle(self) -> int: ...

    def wait(self) -> None:
        """Return when all that was queued is done."""
        ...


@dataclass(frozen=True, slots=True)
class Library:
    """The parts of the library that an engine calls, on one device."""

    session: Any
    """The class tensorrt_llm.runtime.Session."""
    tensor_info: Any
    int32: Any
    """TensorRT's own word for the type."""
    user_managed: Any
    """TensorRT's word for a context that gets its memory from us."""
    torch_type: Callable[[Any], torch.dtype]
    arrays: TorchArrays
    stream: Stream

    def empty(self, shape: tuple[int, ...], dtype: Any) -> torch.Tensor:  # noqa: ANN401 -- TensorRT's own types
        return torch.empty(shape, dtype=self.torch_type(dtype), device=self.arrays.device)

    def memory(self, size: int) -> torch.Tensor:
        """Return so many bytes of the device; torch keeps them until the tensor is gone."""
        return torch.empty(size, dtype=torch.uint8, device=self.arrays.device)

    def without_gradients(self) -> AbstractContextManager[None]:
        """Keep torch from remembering what it computes."""
        return torch.inference_mode()


class CudaStream:
    """The stream of this device that torch queues on."""

    @property
    def handle(self) -> int:
        return int(torch.cuda.current_stream().cuda_stream)

    def wait(self) -> None:
        torch.cuda.current_stream().synchronize()


def load_library(device: str = "cuda", stream: Stream | None = None) -> Library:
    """Import TensorRT-LLM, which registers its plugins; without it the error names the image that has it."""
    try:
        importlib.import_module("tensorrt_llm")
        runtime = importlib.import_module("tensorrt_llm.runtime")
        utilities = importlib.import_module("tensorrt_llm._utils")
        trt = importlib.import_module("tensorrt")
    except ImportError as error:
        raise PermanentError(
            PermanentReason.BACKEND_UNAVAILABLE,
            f"TensorRT-LLM cannot be loaded in this image: {error}. Use the GPU image (Helm value images.gpuServer), "
            "or set engine.backend: openvino.",
        ) from error
    return Library(
        session=runtime.Session,
        tensor_info=runtime.TensorInfo,
        int32=trt.DataType.INT32,
        user_managed=trt.ExecutionContextAllocationStrategy.USER_MANAGED,
        torch_type=utilities.trt_dtype_to_torch,
        arrays=TorchArrays(device),
        stream=stream or CudaStream(),
    )
