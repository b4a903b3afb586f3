"""An engine's folder becomes an `Engine`, by the backend that its manifest names. Libraries are imported only here."""

from pathlib import Path

from embedplane_server.builders.gpu import this_machine
from embedplane_server.builders.manifest import EngineManifest, backend_version, read_manifest
from embedplane_server.engines.base import Engine
from embedplane_server.errors import EngineError, EngineIncompatible
from embedplane_server.export.manifest import OPENVINO_GRAPH


def load_engine(directory: Path, threads: int) -> Engine:
    """Load the engine of a folder and warm it up."""
    manifest = read_manifest(directory)
    library = backend_version(manifest.backend)
    if manifest.backend == "openvino":
        return _load_openvino(directory, manifest, threads)
    if manifest.backend == "tensorrt":
        return _load_tensorrt(directory, manifest, library)
    return _load_tensorrt_llm(directory, manifest, library)


def _load_openvino(directory: Path, manifest: EngineManifest, threads: int) -> Engine:
    from embedplane_server.engines.openvino import OpenVinoEngine, OpenVinoOptions  # noqa: PLC0415 -- heavy, by need

    engine = OpenVinoEngine(directory / OPENVINO_GRAPH, OpenVinoOptions(manifest.precision, threads))
    engine.warm_up(manifest.description.max_sequence_length)
    return engine


def _load_tensorrt(directory: Path, manifest: EngineManifest, library: str) -> Engine:
    from embedplane_server.engines.tensorrt import PLAN, TensorRtEngine, UnusablePlanError  # noqa: PLC0415 -- by need
    from embedplane_server.engines.tensorrt_library import load_library  # noqa: PLC0415

    refuse_other_library(manifest, library)
    trt = load_library()
    load_library("cuda.bindings.runtime")
    from embedplane_server.engines.cuda import CudaDevice  # noqa: PLC0415 -- a library of GPU images

    try:
        engine = TensorRtEngine(trt, (directory / PLAN).read_bytes(), CudaDevice())
    except UnusablePlanError as error:
        raise _incompatible(manifest, f"TensorRT does not load it: {error}") from error
    engine.warm_up(manifest.description.max_sequence_length)
    return engine


def _load_tensorrt_llm(directory: Path, manifest: EngineManifest, library: str) -> Engine:
    from embedplane_server.engines import tensorrt_llm  # noqa: PLC0415 -- heavy, by need

    refuse_other_library(manifest, library)
    try:
        engine = tensorrt_llm.open_plan(directory)
    except EngineError as error:
        raise _incompatible(manifest, str(error)) from error
    engine.warm_up()
    return engine


def refuse_other_library(manifest: EngineManifest, library: str) -> None:
    """Compare before anything is loaded: a plan is bound to the release of TensorRT that wrote it."""
    if manifest.backend_version != library:
        raise _incompatible(
            manifest, f"it was built with {manifest.backend} {manifest.backend_version}, this image has {library}"
        )


def _incompatible(manifest: EngineManifest, cause: str) -> EngineIncompatible:
    return EngineIncompatible(
        f"the engine {manifest.key} ({manifest.variant}) does not fit here: {cause}. One for it has to be built.",
        manifest.key,
        this_machine().variant,
    )
