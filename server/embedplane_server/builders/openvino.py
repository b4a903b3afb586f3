"""What is particular to OpenVINO on a CPU: which precisions a machine has, and the files an engine needs."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from embedplane_server.builders.backend import Ingredients
from embedplane_server.builders.benchmark import Benchmark, measure_speed
from embedplane_server.builders.machine import MachineClass, machine_class
from embedplane_server.engines.base import Engine
from embedplane_server.engines.openvino import OpenVinoEngine, OpenVinoOptions
from embedplane_server.errors import PermanentError, PermanentReason, invalid_settings
from embedplane_server.export.manifest import OPENVINO_GRAPH, REFERENCES, TOKENIZER
from embedplane_server.model import ModelDescription
from embedplane_server.settings import ExportFormat, Precision

_FILES = (OPENVINO_GRAPH, str(Path(OPENVINO_GRAPH).with_suffix(".bin")), REFERENCES, TOKENIZER)


def precisions(wanted: Precision, machine: MachineClass) -> tuple[str, ...]:
    """Return the precisions to try, fastest first."""
    if wanted == "auto":
        return ("bfloat16", "float32") if machine.has_bfloat16 else ("float32",)
    if wanted == "float16":
        raise invalid_settings("engine.precision: float16 is for GPUs. Write bfloat16, float32 or auto.")
    if wanted == "bfloat16" and not machine.has_bfloat16:
        raise PermanentError(
            PermanentReason.BACKEND_UNAVAILABLE,
            f"the CPU ({machine.variant}) has no bfloat16 instructions. Set engine.precision to auto or float32, "
            "or choose nodes that have them.",
        )
    return (wanted,)


def copy_files(export: Path, target: Path) -> None:
    """Copy what an engine is loaded from; the graph is compiled at each start, which takes a second or less."""
    for name in _FILES:
        shutil.copyfile(export / name, target / name)


@dataclass(frozen=True)
class OpenVinoBuilder:
    """A `BackendBuilder` for the CPU of this machine."""

    threads: int
    export_format: ExportFormat = "openvino"
    reads_model: bool = False
    machine: MachineClass = field(default_factory=machine_class)
    timings: bytes | None = None

    def precisions(self, wanted: Precision, description: ModelDescription) -> tuple[str, ...]:
        """Return those that the CPU has."""
        return precisions(wanted, self.machine)

    def refusal(self, engine: Path) -> str | None:
        """Nothing refuses a graph: it is compiled at each start."""
        return None

    def need_room(self, made_of: Ingredients, precision: str) -> None:
        """Nothing to look at: the container's limit is the user's, and its end names the field to raise."""

    def compile(self, made_of: Ingredients, precision: str) -> Engine:
        """Return the graph, compiled in memory."""
        return OpenVinoEngine(made_of.export / OPENVINO_GRAPH, OpenVinoOptions(precision, self.threads))

    def measure(self, engine: Engine, window: int) -> Benchmark:
        """Find the token budget that suits the CPU, and the speed at it."""
        return measure_speed(engine, window)

    def keep(self, made_of: Ingredients, target: Path) -> None:
        """Copy the graph: compiling it again takes a second or less."""
        copy_files(made_of.export, target)
