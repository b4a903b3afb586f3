"""TensorRT-RTX that builds plans, and ONNX Runtime that runs, in a plan's place, the very graph that TensorRT read."""

from typing import Any

import onnxruntime

from embedplane_server.builders.gpu import GpuMachine
from embedplane_server.builders.tensorrt import TensorRtBuilder
from embedplane_server.engines.tensorrt_shapes import profiles_for
from tests.support.gpu_image.packages.numpy_gpu import NumpyDevice, NumpyPlan, numpy_tensorrt


def for_an_l4(config: Any) -> None:
    """Build for a GPU that is not there, which only TensorRT-RTX can."""
    import tensorrt_rtx_bindings as rtx  # noqa: PLC0415 -- loads a library of 300 MB

    config.num_compute_capabilities = 1
    config.set_compute_capability(rtx.ComputeCapability.SM89, 0)


def reading_builder(machine: GpuMachine, width: int, window: int) -> TensorRtBuilder:
    """Return the builder of a GPU image for models of a width and a window."""
    import tensorrt_rtx_bindings as rtx  # noqa: PLC0415

    read: list[onnxruntime.InferenceSession] = []

    class Parser:
        """TensorRT's own, which allows no subclass."""

        def __init__(self, network: Any, log: Any) -> None:
            self.parser = rtx.OnnxParser(network, log)

        def parse_from_file(self, path: str) -> bool:
            read.append(onnxruntime.InferenceSession(path))
            return bool(self.parser.parse_from_file(path))

    device = NumpyDevice()
    inputs = ("input_ids", "attention_mask")
    plan = NumpyPlan(inputs, lambda given: read[-1].run(None, given)[0], width, profiles_for(window), device)
    trt = numpy_tensorrt(plan)
    for name in ("ILogger", "Builder", "NetworkDefinitionCreationFlag", "BuilderFlag"):
        setattr(trt, name, getattr(rtx, name))
    trt.OnnxParser = Parser
    return TensorRtBuilder(trt, machine, lambda: device, for_an_l4)
