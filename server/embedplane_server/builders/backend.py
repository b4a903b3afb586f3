"""The seam between the order of a build and what is particular to a backend; libraries are imported by need."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from embedplane_server.builders.benchmark import Benchmark
from embedplane_server.builders.conformance import Conformance
from embedplane_server.builders.machine import Machine
from embedplane_server.engines.base import Engine
from embedplane_server.errors import invalid_settings
from embedplane_server.model import ModelDescription
from embedplane_server.settings import BuildSettings, ExportFormat, Precision


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What an engine is made of, in local folders."""

    export: Path
    description: ModelDescription
    model: Path | None = None
    """The model's own files, for builders that read them."""
    timings: bytes = b""
    """What earlier builds on such machines have measured, in the library's own form; it may be of no use."""


class BackendBuilder(Protocol):
    """Makes engines of one backend for this machine."""

    @property
    def export_format(self) -> ExportFormat:
        """The portable graph that it reads."""
        ...

    @property
    def reads_model(self) -> bool:
        """True for one that needs the model's own files beside the export."""
        ...

    @property
    def machine(self) -> Machine:
        """What it builds for."""
        ...

    @property
    def timings(self) -> bytes | None:
        """What is known of this machine's kernels after the builds so far; None: the library measures none."""
        ...

    def precisions(self, wanted: Precision, description: ModelDescription) -> tuple[str, ...]:
        """Return the precisions to try for a model, the fastest first that promises its vectors."""
        ...

    def refusal(self, engine: Path) -> str | None:
        """Say why the library does not load an engine that was built for such machines; None: it does."""
        ...

    def need_room(self, made_of: Ingredients, precision: str) -> None:
        """Refuse to begin where the machine has too little memory for such an engine."""
        ...

    def compile(self, made_of: Ingredients, precision: str) -> Engine:
        """Return an engine for texts of any length up to the model's window."""
        ...

    @property
    def conformance(self) -> Conformance | None:
        """How near the engine that was compiled last is to the export's references; None: that was not looked at."""
        ...

    def measure(self, engine: Engine, window: int) -> Benchmark:
        """Return the token budget that suits the machine, and the engine's speed at it."""
        ...

    def keep(self, made_of: Ingredients, target: Path) -> None:
        """Write the files that the engine which was compiled last is loaded from."""
        ...


def backend_builder(settings: BuildSettings) -> BackendBuilder:
    """Return the builder of the settings' backend, after it has looked whether this image and machine can."""
    if settings.engine.backend == "openvino":
        from embedplane_server.builders.openvino import OpenVinoBuilder  # noqa: PLC0415 -- heavy, by need

        return OpenVinoBuilder(settings.threads)
    if settings.engine.precision == "int8":
        raise invalid_settings("engine.precision: int8 is for CPUs. Write auto, float16, bfloat16 or float32.")
    if settings.engine.backend == "tensorrt":
        from embedplane_server.builders.tensorrt import tensorrt_builder  # noqa: PLC0415

        return tensorrt_builder(settings.engine.gpu)
    from embedplane_server.builders.tensorrt_llm import tensorrt_llm_builder  # noqa: PLC0415

    return tensorrt_llm_builder(settings.engine.gpu, settings.max_batch_tokens)
