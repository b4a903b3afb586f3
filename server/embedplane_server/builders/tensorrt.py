"""What is particular to TensorRT: an ONNX graph becomes a plan for the GPU at hand.

The library comes in as an argument, so that tests build with TensorRT-RTX, which needs no GPU, by the same code.
"""

import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from embedplane_server.builders.backend import Ingredients
from embedplane_server.builders.benchmark import Benchmark, measure_speed_at
from embedplane_server.builders.conformance import Conformance, load_references
from embedplane_server.builders.gpu import GpuMachine, gpu_machine, need_gpu
from embedplane_server.builders.gpu_room import Ask, gpu_memory, is_out_of_memory, least_need, need_room
from embedplane_server.builders.onnx_fp8 import quantize
from embedplane_server.builders.onnx_precision import LOW, lower
from embedplane_server.engines.base import Engine
from embedplane_server.engines.device import Device
from embedplane_server.engines.tensorrt import PLAN, TensorRtEngine, UnusablePlanError
from embedplane_server.engines.tensorrt_api import check_api
from embedplane_server.engines.tensorrt_library import load_library, recorder
from embedplane_server.engines.tensorrt_shapes import CAPACITY, Profile, profiles_for
from embedplane_server.errors import EngineError, PermanentError, PermanentReason, invalid_settings, unsupported_model
from embedplane_server.export.manifest import ONNX_GRAPH, REFERENCES, TOKENIZER
from embedplane_server.model import ModelDescription
from embedplane_server.settings import ExportFormat, Gpu, Precision

logger = logging.getLogger(__name__)

Configure = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """A serialized engine, and the times of kernels that were measured for it."""

    content: bytes
    timing_cache: bytes


def build_plan(
    trt: ModuleType,
    graph: Path,
    profiles: tuple[Profile, ...],
    timing_cache: bytes = b"",
    configure: Configure = lambda _: None,
) -> Plan:
    """Compile a graph whose inputs are all rectangles of one shape; a timing cache of the same GPU makes it faster.

    `configure` may change TensorRT's IBuilderConfig before the build.
    """
    log = recorder(trt)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(graph)):
        raise unsupported_model(f"TensorRT cannot read the model's ONNX graph: {_parse_errors(parser)}")
    config = builder.create_builder_config()
    # Products that are 32 bits wide are so because they have to be: rotary angles of long texts need every bit.
    config.clear_flag(trt.BuilderFlag.TF32)
    _add_profiles(builder, network, config, profiles)
    _set_timings(config, timing_cache)
    configure(config)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise PermanentError(
            PermanentReason.UNSUPPORTED_MODEL, f"TensorRT cannot build an engine for the model: {log.told()}"
        )
    cache = config.get_timing_cache()
    return Plan(bytes(plan), bytes(cache.serialize()) if cache is not None else b"")


def _set_timings(config: Any, timings: bytes) -> None:  # noqa: ANN401
    """Give a build what was measured before; of another GPU or release, or damaged, it is refused for an empty one."""
    cache = config.create_timing_cache(timings)
    if cache is None or not config.set_timing_cache(cache, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _add_profiles(builder: Any, network: Any, config: Any, profiles: tuple[Profile, ...]) -> None:  # noqa: ANN401
    names = [network.get_input(index).name for index in range(network.num_inputs)]
    for each in profiles:
        profile = builder.create_optimization_profile()
        for name in names:
            profile.set_shape(name, each.least, each.usual, each.most)
        if config.add_optimization_profile(profile) < 0:
            raise AssertionError(f"TensorRT refuses the profile {each}")


def _parse_errors(parser: Any) -> str:  # noqa: ANN401
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    return "; ".join(f"{error.node_operator()} {error.node_name()}: {error.desc()}" for error in errors)


@dataclass
class TensorRtBuilder:
    """A `BackendBuilder` for the GPU of this machine. Library and device are those of the image, or of a test."""

    trt: ModuleType
    machine: GpuMachine
    new_device: Callable[[], Device]
    configure: Configure = lambda _: None
    memory: Ask = gpu_memory
    export_format: ExportFormat = "onnx"
    conformance: Conformance | None = None
    reads_model: bool = False
    _plan: Plan = field(default_factory=lambda: Plan(b"", b""))

    @property
    def timings(self) -> bytes | None:
        return self._plan.timing_cache

    def refusal(self, engine: Path) -> str | None:
        """Try to load a plan; a device that has no room for it now is no reason to build another."""
        try:
            TensorRtEngine(self.trt, (engine / PLAN).read_bytes(), self.new_device()).close()
        except UnusablePlanError as error:
            return str(error)
        except EngineError as error:
            logger.warning("whether %s can be loaded was not to be told: %s", PLAN, error)
        return None

    def precisions(self, wanted: Precision, description: ModelDescription) -> tuple[str, ...]:
        """Return those that the GPU has; in float16 large activations overflow, so bfloat16 comes next.

        It comes first for a model whose weights are in bfloat16: what it was trained in may not fit into float16.
        """
        if wanted == "bfloat16" and not self.machine.has_bfloat16:
            raise invalid_settings(
                f"{self.machine.name} (compute capability {self.machine.compute_capability}) has no bfloat16. Set "
                "engine.precision to auto, float16 or float32."
            )
        if wanted == "fp8" and not self.machine.has_fp8:
            raise invalid_settings(
                f"{self.machine.name} (compute capability {self.machine.compute_capability}) has no fp8, which needs "
                "8.9 or newer. Set engine.precision to auto, float16 or float32."
            )
        if wanted != "auto":
            return (wanted,)
        if not self.machine.has_bfloat16:
            return ("float16", "float32")
        if description.weights_type == "bfloat16":
            return ("bfloat16", "float16", "float32")
        return ("float16", "bfloat16", "float32")

    def need_room(self, made_of: Ingredients, precision: str) -> None:
        """Refuse a GPU whose memory does not hold the weights and the largest rectangle."""
        need_room(self.machine.name, self.memory(), least_need(made_of, precision, CAPACITY), precision)

    def compile(self, made_of: Ingredients, precision: str) -> Engine:
        """Build a plan and load it; kernels that were measured for the precision before need no measuring again."""
        window = made_of.description.max_sequence_length
        with tempfile.TemporaryDirectory(prefix="embedplane-onnx-") as name:
            graph = made_of.export / ONNX_GRAPH
            if (low := LOW.get(precision)) is not None:
                graph = Path(name) / ONNX_GRAPH
                lower(made_of.export / ONNX_GRAPH, graph, low)
            if precision == "fp8":
                quantize(graph, load_references(made_of.export).token_ids)
            known = self._plan.timing_cache or made_of.timings
            self._plan = build_plan(self.trt, graph, profiles_for(window), known, self.configure)
        try:
            engine = TensorRtEngine(self.trt, self._plan.content, self.new_device())
            engine.warm_up(window)
        except (UnusablePlanError, EngineError) as error:
            raise self._not_loaded(str(error)) from error
        return engine

    def _not_loaded(self, cause: str) -> PermanentError:
        if is_out_of_memory(cause):
            return PermanentError(
                PermanentReason.OUT_OF_MEMORY,
                f"the engine does not fit into the memory of {self.machine.name}: {cause}. Lower engine.precision or "
                "embedding.maxSequenceLength, or choose an accelerator profile with more memory.",
            )
        return PermanentError(
            PermanentReason.BACKEND_UNAVAILABLE,
            f"TensorRT built an engine for {self.machine.name} and then does not run it: {cause}. Check that the "
            f"driver ({self.machine.driver}) is new enough for the GPU image.",
        )

    def measure(self, engine: Engine, window: int) -> Benchmark:
        """Measure the speed of full batches: on a GPU these end soon."""
        return measure_speed_at(engine, window, CAPACITY)

    def keep(self, made_of: Ingredients, target: Path) -> None:
        """Write the plan, and what a server needs beside it."""
        (target / PLAN).write_bytes(self._plan.content)
        for name in (REFERENCES, TOKENIZER):
            shutil.copyfile(made_of.export / name, target / name)


def tensorrt_builder(wanted: Gpu | None) -> TensorRtBuilder:
    """Return the builder for this machine's GPU; library, API and GPU are looked at before any work."""
    trt = load_library()
    check_api(trt)
    for beside in ("cuda.bindings.runtime", "onnx"):
        load_library(beside)
    machine = gpu_machine()
    need_gpu(machine, wanted)
    from embedplane_server.engines.cuda import CudaDevice  # noqa: PLC0415 -- a library of GPU images

    need_driver(machine, CudaDevice)
    return TensorRtBuilder(trt, machine, CudaDevice)


def need_driver(machine: GpuMachine, new_device: Callable[[], Device]) -> None:
    """Refuse to begin where CUDA cannot do the least thing, because the driver is older than the image."""
    device = new_device()
    try:
        device.synchronize(device.create_stream())
    except EngineError as error:
        raise PermanentError(
            PermanentReason.BACKEND_UNAVAILABLE,
            f"CUDA does not work on {machine.name} with the driver {machine.driver}: {error}. Install a newer driver "
            "on the nodes of the profile, or choose nodes that have one.",
        ) from error
    finally:
        device.close()
