"""An engine's folder becomes an `Engine`, by the backend that its manifest names. Libraries are imported only here."""

from pathlib import Path

from embedplane_server.builders.manifest import backend_version, read_manifest
from embedplane_server.engines.base import Engine
from embedplane_server.errors import PermanentError, PermanentReason
from embedplane_server.export.manifest import OPENVINO_GRAPH


def load_engine(directory: Path, threads: int) -> Engine:
    """Load the engine of a folder and warm it up."""
    manifest = read_manifest(directory)
    backend_version(manifest.backend)
    if manifest.backend != "openvino":
        raise PermanentError(
            PermanentReason.BACKEND_UNAVAILABLE,
            f"this version of Embedplane cannot serve the backend {manifest.backend}. Set engine.backend: openvino.",
        )
    from embedplane_server.engines.openvino import OpenVinoEngine, OpenVinoOptions  # noqa: PLC0415 -- heavy, by need

    engine = OpenVinoEngine(directory / OPENVINO_GRAPH, OpenVinoOptions(manifest.precision, threads))
    engine.warm_up(manifest.description.max_sequence_length)
    return engine
