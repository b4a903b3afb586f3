"""The seam between the order of a build and what is particular to a backend; libraries are imported by need."""

from pathlib import Path
from typing import Protocol

from embedplane_server.builders.benchmark import Benchmark
from embedplane_server.builders.machine import Machine
from embedplane_server.engines.base import Engine
from embedplane_server.errors import PermanentError, PermanentReason
from embedplane_server.settings import BuildSettings, ExportFormat, Precision


class BackendBuilder(Protocol):
    """Makes engines of one backend for this machine."""

    @property
    def export_format(self) -> ExportFormat:
        """The portable graph that it reads."""
        ...

    @property
    def machine(self) -> Machine:
        """What it builds for."""
        ...

    def precisions(self, wanted: Precision) -> tuple[str, ...]:
        """Return the precisions to try, fastest first."""
        ...

    def compile(self, export: Path, precision: str, window: int) -> Engine:
        """Return the engine of an export's folder, for texts of at most `window` tokens."""
        ...

    def measure(self, engine: Engine, window: int) -> Benchmark:
        """Return the token budget that suits the machine, and the engine's speed at it."""
        ...

    def keep(self, export: Path, target: Path) -> None:
        """Write the files that the engine which was compiled last is loaded from."""
        ...


def backend_builder(settings: BuildSettings) -> BackendBuilder:
    """Return the builder of the settings' backend, after it has looked whether this image and machine can."""
    if settings.engine.backend == "openvino":
        from embedplane_server.builders.openvino import OpenVinoBuilder  # noqa: PLC0415 -- heavy, by need

        return OpenVinoBuilder(settings.threads)
    if settings.engine.backend == "tensorrt":
        from embedplane_server.builders.tensorrt import tensorrt_builder  # noqa: PLC0415

        return tensorrt_builder(settings.engine.gpu)
    raise PermanentError(
        PermanentReason.BACKEND_UNAVAILABLE,
        f"this version of Embedplane cannot build for {settings.engine.backend}. Set engine.backend: tensorrt, which "
        "takes every model on a GPU, or openvino.",
    )
