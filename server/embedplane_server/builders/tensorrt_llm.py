"""What is particular to TensorRT-LLM: a model's files become a plan for the GPU at hand, by `trtllm-build`."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from embedplane_server.builders.backend import Ingredients
from embedplane_server.builders.benchmark import Benchmark, measure_speed_at
from embedplane_server.builders.gpu import gpu_machine, need_gpu
from embedplane_server.builders.machine import Machine
from embedplane_server.builders.tail import read_tail
from embedplane_server.engines.base import Engine
from embedplane_server.engines.packed_inputs import first_position
from embedplane_server.engines.tensorrt_llm import PLAN, Encoder, TensorRtLlmEngine, open_plan
from embedplane_server.engines.tensorrt_llm_api import BUILD_COMMAND, check_api
from embedplane_server.errors import PermanentError, PermanentReason, invalid_settings, unsupported_model
from embedplane_server.export.manifest import REFERENCES, TOKENIZER
from embedplane_server.model import ModelDescription
from embedplane_server.model.chain import read_chain
from embedplane_server.model.tensorrt_llm import exactness
from embedplane_server.settings import ExportFormat, Gpu, Precision

USUAL_BATCH_TOKENS = 16_384
"""Token budget of a forward pass where the settings name none."""
_FEWEST_TEXTS, _MOST_TEXTS = 8, 512
_TOLD_LINES = 3

Open = Callable[[Path], TensorRtLlmEngine]


@dataclass(frozen=True, slots=True)
class Shape:
    """How many texts of which length one forward pass takes at most."""

    max_batch_size: int
    max_input_length: int


def shape_for(batch_tokens: int, window: int) -> Shape:
    """Return the shape whose half is the token budget: kernels are chosen for the half of what a plan takes."""
    texts = 2 * batch_tokens // window
    return Shape(min(max(texts, _FEWEST_TEXTS), _MOST_TEXTS), window)


def need_exactness(model: Path) -> None:
    """Refuse a model that TensorRT-LLM would compute wrongly without an error."""
    found = exactness(read_chain(model))
    if not found.is_exact:
        raise unsupported_model(
            f"TensorRT-LLM would give other vectors than the model's: {found.reason}. Set engine.backend: auto or "
            "tensorrt."
        )


def command(checkpoint: Path, target: Path, shape: Shape, precision: str, scratch: Path) -> list[str]:
    """Return the call that compiles a checkpoint: texts without padding, fused attention where it can be had."""
    flags = {
        "checkpoint_dir": str(checkpoint),
        "output_dir": str(target),
        "max_batch_size": str(shape.max_batch_size),
        # Its own value is the number of positions, of which RoBERTa's models use two less.
        "max_input_len": str(shape.max_input_length),
        "bert_attention_plugin": precision,
        "remove_input_padding": "enable",
        "context_fmha": "enable" if precision == "float16" else "disable",
        # Its own place is the working folder, which may be read-only.
        "output_timing_cache": str(scratch / "timing.cache"),
        "log_level": "info",
    }
    return [BUILD_COMMAND, *(part for name, value in flags.items() for part in (f"--{name}", value))]


def make_plan(model: Path, description: ModelDescription, shape: Shape, precision: str, scratch: Path) -> Path:
    """Return a folder below `scratch` that an engine is loaded from, without references and tokenizer."""
    from embedplane_server.builders.tensorrt_llm_checkpoint import write_checkpoint  # noqa: PLC0415 -- torch, by need

    place = scratch / precision
    checkpoint, built, target = place / "checkpoint", place / "built", place / "engine"
    for folder in (checkpoint, built, target):
        folder.mkdir(parents=True)
    chain = read_chain(model)
    padding_id = write_checkpoint(model / chain.transformer.path, checkpoint, precision)
    _run(command(checkpoint, built, shape, precision, place), place)
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

    machine: Machine
    batch_tokens: int
    open_engine: Open = open_plan
    export_format: ExportFormat = "onnx"
    reads_model: bool = True
    _scratch: TemporaryDirectory[str] = field(
        default_factory=lambda: TemporaryDirectory(prefix="embedplane-tensorrt-llm-")
    )
    _plan: Path = Path()
    _timings: bytes = b""

    @property
    def timings(self) -> bytes | None:
        return self._timings

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

    def compile(self, made_of: Ingredients, precision: str) -> Engine:
        """Build a plan and open it."""
        assert made_of.model is not None
        need_exactness(made_of.model)
        shape = shape_for(self.batch_tokens, made_of.description.max_sequence_length)
        self._plan = make_plan(made_of.model, made_of.description, shape, precision, Path(self._scratch.name))
        return self.open_engine(self._plan)

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
    machine = gpu_machine()
    need_gpu(machine, wanted)
    return TensorRtLlmBuilder(machine, batch_tokens or USUAL_BATCH_TOKENS)


def _run(call: list[str], scratch: Path) -> None:
    log = scratch / "build.log"
    with log.open("wb") as told:
        done = subprocess.run(  # noqa: S603 -- a command of the image, without a shell
            call, cwd=scratch, stdout=told, stderr=subprocess.STDOUT, check=False, env=os.environ.copy()
        )
    if done.returncode:
        raise _failure(done.returncode, log.read_text(encoding="utf-8", errors="replace"))


def _failure(code: int, told: str) -> PermanentError:
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    words = " | ".join(lines[-_TOLD_LINES:])[:600] or "it printed nothing"
    if "out of memory" in told.lower() or "OutOfMemory" in told:
        return PermanentError(
            PermanentReason.OUT_OF_MEMORY,
            f"{BUILD_COMMAND} ran out of the GPU's memory: {words}. Lower engine.maxBatchTokens, or give the build a "
            "GPU of its own.",
        )
    return unsupported_model(f"{BUILD_COMMAND} ended with {code}: {words}. Set engine.backend: tensorrt.")
