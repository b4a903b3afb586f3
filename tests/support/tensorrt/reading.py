"""TensorRT-RTX that builds plans, and ONNX Runtime that runs, in a plan's place, a graph that TensorRT read."""

from pathlib import Path
from typing import Any

import onnxruntime

from embedplane_server.builders.gpu import GpuMachine
from embedplane_server.builders.gpu_room import GpuMemory
from embedplane_server.builders.tensorrt import TensorRtBuilder
from embedplane_server.engines.tensorrt_shapes import profiles_for
from tests.support.gpu_image.packages.numpy_gpu import NumpyDevice, NumpyPlan, numpy_tensorrt
from tests.support.tensorrt.families import WIDTH, WINDOW


def for_an_l4(config: Any) -> None:
    """Build for a GPU that is not there, which only TensorRT-RTX can."""
    import tensorrt_rtx_bindings as rtx  # noqa: PLC0415 -- loads a library of 300 MB

    config.num_compute_capabilities = 1
    config.set_compute_capability(rtx.ComputeCapability.SM89, 0)


def running(graph: Path) -> onnxruntime.InferenceSession:
    """Return what runs a graph. On one thread: its threads spin while they wait, and take a busy machine's time."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(graph), options)


def reading_builder(
    machine: GpuMachine, memory: GpuMemory | None = None, runs: onnxruntime.InferenceSession | None = None
) -> TensorRtBuilder:
    """Return the builder of a GPU image for the models of `families`.

    What it read last is run, or else what is given: on CPUs ONNX Runtime has no bfloat16.
    """
    import tensorrt_rtx_bindings as rtx  # noqa: PLC0415

    run = [] if runs is None else [runs]

    class Parser:
        """TensorRT's own, which allows no subclass."""

        def __init__(self, network: Any, log: Any) -> None:
            self.parser = rtx.OnnxParser(network, log)

        def parse_from_file(self, path: str) -> bool:
            if runs is None:
                run.append(running(Path(path)))
            return bool(self.parser.parse_from_file(path))

    device = NumpyDevice()
    inputs = ("input_ids", "attention_mask")
    plan = NumpyPlan(inputs, lambda given: run[-1].run(None, given)[0], WIDTH, profiles_for(WINDOW), device)
    trt = numpy_tensorrt(plan)
    for name in ("ILogger", "Builder", "NetworkDefinitionCreationFlag", "BuilderFlag"):
        setattr(trt, name, getattr(rtx, name))
    trt.OnnxParser = Parser
    return TensorRtBuilder(trt, machine, lambda: device, for_an_l4, lambda: memory)
