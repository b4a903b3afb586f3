"""What is particular to OpenVINO on a CPU: which precisions a machine has, and the files an engine needs.

A graph in int8 is made here, once; in the other precisions the export's own is compiled.
"""

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from weakref import finalize

from embedplane_server.builders.backend import Ingredients
from embedplane_server.builders.benchmark import Benchmark, measure_speed
from embedplane_server.builders.conformance import Conformance, load_references, measure
from embedplane_server.builders.int8 import Quantiser
from embedplane_server.builders.machine import MachineClass, machine_class
from embedplane_server.engines.base import Engine
from embedplane_server.engines.openvino import OpenVinoEngine, OpenVinoOptions
from embedplane_server.errors import PermanentError, PermanentReason, invalid_settings
from embedplane_server.export.manifest import OPENVINO_GRAPH, REFERENCES, TOKENIZER
from embedplane_server.model import ModelDescription
from embedplane_server.settings import ExportFormat, Precision

logger = logging.getLogger(__name__)

_GRAPH = (OPENVINO_GRAPH, str(Path(OPENVINO_GRAPH).with_suffix(".bin")))

# Products that are off by more, squared and as a share, stay in bfloat16: one after the other is tried until the least
# cosine is the aim, whatever floor the user asks for: the same key, the same engine.
INT8_ERRORS = (0.005, 0.002, 0.0012)
INT8_AIM = 0.991


def precisions(wanted: Precision, machine: MachineClass) -> tuple[str, ...]:
    """Return the precisions to try, fastest first."""
    if wanted == "auto":
        return ("bfloat16", "float32") if machine.has_bfloat16 else ("float32",)
    if wanted == "float16":
        raise invalid_settings("engine.precision: float16 is for GPUs. Write bfloat16, float32 or auto.")
    if wanted == "bfloat16" and not machine.has_bfloat16:
        raise _not_here(machine, "no bfloat16 instructions")
    if wanted == "int8" and not machine.has_int8:
        raise _not_here(machine, "not the instructions for int8, which are AVX512-BF16 or AMX")
    return (wanted,)


def _not_here(machine: MachineClass, lack: str) -> PermanentError:
    return PermanentError(
        PermanentReason.BACKEND_UNAVAILABLE,
        f"the CPU ({machine.variant}) has {lack}. Set engine.precision to auto or float32, or choose nodes that have "
        "them.",
    )


@dataclass
class OpenVinoBuilder:
    """A `BackendBuilder` for the CPU of this machine."""

    threads: int
    export_format: ExportFormat = "openvino"
    reads_model: bool = False
    machine: MachineClass = field(default_factory=machine_class)
    timings: bytes | None = None
    conformance: Conformance | None = None
    _graphs: Path = Path()
    """The folder of the graph that was compiled last."""

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
        if precision == "int8":
            return self._compile_in_int8(made_of)
        self._graphs, self.conformance = made_of.export, None
        return self._compiled(precision)

    def _compiled(self, precision: str) -> OpenVinoEngine:
        return OpenVinoEngine(self._graphs / OPENVINO_GRAPH, OpenVinoOptions(precision, self.threads))

    def _compile_in_int8(self, made_of: Ingredients) -> Engine:
        """Return the engine with the fewest products in bfloat16 that is near enough, or the nearest of all tried."""
        self._graphs = Path(mkdtemp(prefix="embedplane-int8-"))
        finalize(self, shutil.rmtree, self._graphs)
        references = load_references(made_of.export)
        quantiser = Quantiser(made_of.export / OPENVINO_GRAPH, references.token_ids)
        for largest_error in INT8_ERRORS:
            done = quantiser.write(self._graphs / OPENVINO_GRAPH, largest_error)
            engine = self._compiled("int8")
            self.conformance = measure(engine, references, activation=made_of.description.activation)
            found = self.conformance.minimum_cosine
            logger.info("%d of %d products are in int8: cosine %.6f", done.products - done.left, done.products, found)
            if found >= INT8_AIM or largest_error == INT8_ERRORS[-1]:
                return engine
            engine.close()
        raise AssertionError("there is always an error to try")

    def measure(self, engine: Engine, window: int) -> Benchmark:
        """Find the token budget that suits the CPU, and the speed at it."""
        return measure_speed(engine, window)

    def keep(self, made_of: Ingredients, target: Path) -> None:
        """Copy the graph: compiling it again takes a second or less."""
        for name in _GRAPH:
            shutil.copyfile(self._graphs / name, target / name)
        for name in (REFERENCES, TOKENIZER):
            shutil.copyfile(made_of.export / name, target / name)
