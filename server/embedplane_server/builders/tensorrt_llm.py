"""What is particular to TensorRT-LLM: a model's files become a plan for the GPU at hand, by `trtllm-build`."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from weakref import finalize

from embedplane_server.builders.backend import Ingredients
from embedplane_server.builders.benchmark import Benchmark, measure_speed_at
from embedplane_server.builders.conformance import Conformance
from embedplane_server.builders.gpu import GpuMachine, gpu_machine, need_gpu
from embedplane_server.builders.gpu_room import Ask, gpu_memory, least_need, need_room
from embedplane_server.builders.tail import read_tail
from embedplane_server.builders.tensorrt_llm_command import (
    TIMINGS,
    Shape,
    command,
    run_tuned_or_plain,
    shape_for,
    tuned,
)
from embedplane_server.engines.base import Engine
from embedplane_server.engines.packed_inputs import first_position
from embedplane_server.engines.tensorrt_api import check_api as check_tensorrt
from embedplane_server.engines.tensorrt_library import load_library
from embedplane_server.engines.tensorrt_llm import PLAN, Encoder, TensorRtLlmEngine, open_plan
from embedplane_server.engines.tensorrt_llm_api import BUILD_COMMAND, check_api
from embedplane_server.errors import EngineError, PermanentError, PermanentReason, invalid_settings, unsupported_model
from embedplane_server.export.manifest import REFERENCES, TOKENIZER
from embedplane_server.model import ModelDescription
from embedplane_server.model.chain import read_chain
from embedplane_server.model.tensorrt_llm import exactness
from embedplane_server.settings import ExportFormat, Gpu, Precision

USUAL_BATCH_TOKENS = 16_384
"""Token budget of a forward pass where the settings name none."""

Open = Callable[[Path], TensorRtLlmEngine]


def need_exactness(model: Path) -> None:
    """Refuse a model that TensorRT-LLM would compute wrongly without an error."""
    found = exactness(read_chain(model))
    if not found.is_exact:
        raise unsupported_model(
            f"TensorRT-LLM would give other vectors than the model's: {found.reason}. Set engine.backend: auto or "
            "tensorrt."
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What a plan is made for."""

    shape: Shape
    precision: str
    timings: bytes = b""


def make_plan(model: Path, description: ModelDescription, wish: Wish, scratch: Path) -> Path:
    """Return a folder below `scratch` that an engine is loaded from, without references and tokenizer.

    What was measured for it is in `TIMINGS` beside it.
    """
    from embedplane_server.builders.tensorrt_llm_checkpoint import write_checkpoint  # noqa: PLC0415 -- torch, by need

    shape, precision, place = wish.shape, wish.precision, scratch / wish.precision
    checkpoint, built, target = place / "checkpoint", place / "built", place / "engine"
    for folder in (checkpoint, built, target):
        folder.mkdir(parents=True)
    chain = read_chain(model)
    padding_id = write_checkpoint(model / chain.transformer.path, checkpoint, precision)
    plain = command(checkpoint, built, shape, precision, place)
    run_tuned_or_plain(tuned(plain, shape, wish.timings, place), plain, place)
    if not (built / PLAN).is_file():
        raise PermanentError(PermanentReason.BACKEND_CHANGED, f"{BUILD_COMMAND} ended well, but wrote no {PLAN}.")
    shutil.move(built / PLAN, target / PLAN)
    first = first_position(chain.transformer.config["model_type"], padding_id)
    Encoder(chain.width, first, shape.max_batch_size, shape.max_input_length).save(target)
    read_tail(model, description).save(target)
    shutil.rmtree(checkpoint)  # as large as the model, and of no more use
    return target


@dataclass
class TensorRtLlmBuilder:
    """A `BackendBuilder` for the GPU of this machine; how an engine is opened is the image's way, or a test's."""

    machine: GpuMachine
    batch_tokens: int
    open_engine: Open = open_plan
    export_format: ExportFormat = "onnx"
    conformance: Conformance | None = None
    reads_model: bool = True
    memory: Ask = gpu_memory
    _scratch: Path = field(default_factory=lambda: Path(mkdtemp(prefix="embedplane-tensorrt-llm-")))
    _plan: Path = Path()
    _timings: bytes = b""

    def __post_init__(self) -> None:
        finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)

    @property
    def timings(self) -> bytes | None:
        return self._timings

    def refusal(self, engine: Path) -> str | None:
        """Try to open it."""
        try:
            self.open_engine(engine).close()
        except EngineError as error:
            return str(error)
        return None

    def precisions(self, wanted: Precision, description: ModelDescription) -> tuple[str, ...]:
        """Return those that the library has for encoders."""
        if wanted == "auto":
            return ("float16", "float32")
        if wanted == "bfloat16":
            raise invalid_settings(
                "engine.precision: TensorRT-LLM has no bfloat16 for encoders. Write float16, float32 or auto, or set "
                "engine.backend: tensorrt."
            )
        return (wanted,)

    def need_room(self, made_of: Ingredients, precision: str) -> None:
        """Refuse a GPU whose memory does not hold the weights and the largest batch."""
        tokens = self._shape(made_of).most_tokens
        need_room(self.machine.name, self.memory(), least_need(made_of, precision, tokens), precision)

    def compile(self, made_of: Ingredients, precision: str) -> Engine:
        """Build a plan and open it; kernels that were measured before need no measuring again."""
        assert made_of.model is not None
        need_exactness(made_of.model)
        wish = Wish(self._shape(made_of), precision, self._timings or made_of.timings)
        self._plan = make_plan(made_of.model, made_of.description, wish, self._scratch)
        if (measured := self._plan.with_name(TIMINGS)).is_file():
            self._timings = measured.read_bytes()
        return self.open_engine(self._plan)

    def _shape(self, made_of: Ingredients) -> Shape:
        return shape_for(self.batch_tokens, made_of.description.max_sequence_length)

    def measure(self, engine: Engine, window: int) -> Benchmark:
        """Measure the speed at the token budget that the plan was tuned for."""
        return measure_speed_at(engine, window, self.batch_tokens)

    def keep(self, made_of: Ingredients, target: Path) -> None:
        """Copy the plan with what belongs to it, and what a server needs beside it."""
        for file in (*self._plan.iterdir(), made_of.export / REFERENCES, made_of.export / TOKENIZER):
            shutil.copyfile(file, target / file.name)


def tensorrt_llm_builder(wanted: Gpu | None, batch_tokens: int | None) -> TensorRtLlmBuilder:
    """Return the builder for this machine's GPU; the library's API and the GPU are looked at before any work."""
    check_api()
    check_tensorrt(load_library())
    load_library("cuda.bindings.runtime")
    machine = gpu_machine()
    need_gpu(machine, wanted)
    return TensorRtLlmBuilder(machine, batch_tokens or USUAL_BATCH_TOKENS)
