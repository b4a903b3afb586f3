"""What one server process serves: its names, and the engine's manifest. Made once, at start."""

from dataclasses import dataclass

from embedplane_server.builders.manifest import EngineManifest
from embedplane_server.model import ModelDescription


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The one model of this process."""

    name: str
    """Name of the EmbeddingModel, and the metric label `model`."""
    names: tuple[str, ...]
    """Names that requests may ask for."""
    manifest: EngineManifest

    @property
    def description(self) -> ModelDescription:
        return self.manifest.description
