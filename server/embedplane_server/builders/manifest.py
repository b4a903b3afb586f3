"""What an engine is called, what it says about itself, and which variant of an engine a machine can run.

A key covers what is known before a build. Facts of the machine make the variant: one key may have several.
"""

from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from embedplane_server.builders.machine import Machine
from embedplane_server.errors import EngineCorrupt, EngineIncompatible, EngineMissing, PermanentError, PermanentReason
from embedplane_server.model import ModelDescription
from embedplane_server.model.space import sha256_of
from embedplane_server.results import BenchmarkResult, BuildResult, ConformanceResult
from embedplane_server.settings import Backend, EngineSettings
from embedplane_server.store import Entry, Store

# Raised when engines of older versions cannot be loaded any more.
FORMAT_VERSION = 1

ENGINE_FILE = "engine.json"
"""Inside an entry: its manifest, for those who have only the folder."""

_DISTRIBUTIONS: dict[Backend, str] = {"openvino": "openvino", "tensorrt": "tensorrt", "tensorrt-llm": "tensorrt_llm"}

_IMAGES: dict[Backend, str] = {
    "openvino": "Helm value images.server",
    "tensorrt": "Helm value images.gpuServer",
    "tensorrt-llm": "Helm value images.gpuServer",
}


class EngineManifest(BaseModel):
    """A published engine: proven against the reference, measured, ready to be served."""

    model_config = ConfigDict(frozen=True)

    key: str
    variant: str
    backend: Backend
    backend_version: str
    precision: str
    max_batch_tokens: int
    """Token budget of one forward pass that suits the machine; settings may say another."""
    conformance: ConformanceResult
    benchmark: BenchmarkResult
    built_at: datetime
    commit: str
    digest: str
    """Over the files an engine is loaded from."""
    vector_space: str
    description: ModelDescription
    machine: dict[str, str] = {}
    """Facts of the machine that it was built on, a GPU's driver for example."""
    timings: str | None = None
    """Where the store has what builds like this one have measured; it is kept as long as this engine is."""

    def result(self, max_batch_tokens: int | None = None) -> BuildResult:
        """Return what `build` reports; a token budget from the settings stands above the measured one."""
        return BuildResult(
            key=self.key,
            variant=self.variant,
            backend=self.backend,
            backend_version=self.backend_version,
            precision=self.precision,
            max_batch_tokens=max_batch_tokens or self.max_batch_tokens,
            conformance=self.conformance,
            benchmark=self.benchmark,
            built_at=self.built_at,
        )


def backend_version(backend: Backend) -> str:
    """Return the version of a backend's library in this image."""
    try:
        return version(_DISTRIBUTIONS[backend])
    except PackageNotFoundError as error:
        raise PermanentError(
            PermanentReason.BACKEND_UNAVAILABLE,
            f"the backend {backend} is not in this image. Use the one made for it ({_IMAGES[backend]}), or set "
            "engine.backend: openvino.",
        ) from error


def engine_key(vector_space: str, settings: EngineSettings, library_version: str, machine: Machine) -> str:
    """Return the key of an engine for settings; for a CPU its architecture stands where a GPU has its name.

    A slice of a GPU is a device of its own: it has fewer processors and less memory, for which kernels are chosen.
    """
    device = {"cpu": machine.architecture}
    if settings.gpu:
        device = settings.gpu.model_dump(exclude={"minimum_driver"}, exclude_none=True)
    document = {
        "vectorSpace": vector_space,
        "backend": settings.backend,
        "backendVersion": library_version,
        "precision": settings.precision,
        "device": device,
        "version": FORMAT_VERSION,
    }
    if settings.texts is not None:
        document["texts"] = settings.texts  # without, the key is what it was before there were own texts
    return "en1-" + sha256_of(document)[:20]


def engine_entry(key: str, variant: str) -> str:
    """Return the name of an engine's entry in the store."""
    return f"engines/{key}/{variant}"


async def published_variants(store: Store, key: str) -> list[tuple[EngineManifest, Entry]]:
    """Return every variant of an engine that is in the store."""
    names = [engine_entry(key, variant) for variant in await store.names(f"engines/{key}")]
    found = [await store.find_about(name, EngineManifest) for name in names]
    return [variant for variant in found if variant is not None]


async def find_engine(store: Store, key: str, machine: Machine) -> tuple[EngineManifest, Entry]:
    """Return the variant that suits a machine best; `NoEngineError` says why there is none."""
    variants = await published_variants(store, key)
    if not variants:
        for variant in await store.names(f"engines/{key}"):
            if await store.has_manifest(name := engine_entry(key, variant)):
                raise damaged_engine(name, "its manifest.json cannot be read", key)
        raise EngineMissing(f"the engine {key} is not in the store; it was removed. It has to be built again.", key)
    fitting = [found for found in variants if machine.can_run(found[0].variant, found[0].precision)]
    if fitting:
        return min(fitting, key=lambda found: (found[0].variant != machine.variant, found[0].variant))
    built = ", ".join(manifest.variant for manifest, _ in variants)
    raise EngineIncompatible(
        f"no variant of the engine {key} fits this machine ({machine.variant}); the store has {built}. "
        "A variant for this machine has to be built.",
        key,
        machine.variant,
    )


def damaged_engine(name: str, problem: str, key: str) -> EngineCorrupt:
    """Return the error of a server, which cannot set a damaged entry aside: the store is mounted read-only there."""
    return EngineCorrupt(f"{name} in the store is damaged: {problem}. It is set aside and built again.", key)


def read_manifest(directory: Path) -> EngineManifest:
    """Return the manifest of the engine in a local folder."""
    return EngineManifest.model_validate_json((directory / ENGINE_FILE).read_bytes())
