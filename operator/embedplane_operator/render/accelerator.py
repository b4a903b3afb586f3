"""What `spec.accelerator` and `spec.engine` come to in this installation: the profile, the backend, the image. Pure."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.render.tensorrt_llm import Exactness, why_not
from embedplane_operator.settings import AcceleratorProfile, Settings

ExportFormat = Literal["openvino", "onnx"]


class UnknownAcceleratorError(LookupError):
    """The model names an accelerator profile that this installation does not have."""


@dataclass(frozen=True)
class EngineTarget:
    """What an engine is built for."""

    backend: str
    precision: str
    reason: str
    """Why this backend, for status.engine.reason."""
    gpu: AcceleratorProfile | None = None
    texts: str | None = None
    """Digest of the user's own texts that it is proven with."""

    @property
    def export_format(self) -> ExportFormat:
        """The graph that the backend's builder reads."""
        return "openvino" if self.backend == "openvino" else "onnx"

    def to_document(self) -> dict[str, Any]:
        """Return the value of EMBEDPLANE_ENGINE."""
        document: dict[str, Any] = {"backend": self.backend, "precision": self.precision}
        if self.gpu:
            document["gpu"] = {"name": self.gpu.gpu_name, "computeCapability": self.gpu.compute_capability}
        if self.texts is not None:
            document["texts"] = self.texts
        return document


def profile_of(model: EmbeddingModel, settings: Settings) -> AcceleratorProfile | None:
    """Return the accelerator profile that the model serves on; None is the CPU.

    Raises `UnknownAcceleratorError` when the installation has no profile of that name.
    """
    if model.spec.accelerator is None:
        return None
    name = model.spec.accelerator.profile
    if name not in settings.accelerator_profiles:
        known = ", ".join(sorted(settings.accelerator_profiles)) or "none"
        raise UnknownAcceleratorError(
            f"accelerator.profile {name} is not a profile of this installation (known: {known}); "
            "correct it, or add the profile to the Helm value acceleratorProfiles"
        )
    return settings.accelerator_profiles[name]


def engine_target(
    model: EmbeddingModel, settings: Settings, texts: str | None = None, exactness: Exactness | None = None
) -> EngineTarget:
    """Return what the model's engine is built for. Raises `UnknownAcceleratorError`.

    `exactness` is what the fetch says; before there is an answer TensorRT-LLM is not taken by itself.
    """
    return replace(_hardware_target(model, settings, exactness), texts=texts)


def _hardware_target(model: EmbeddingModel, settings: Settings, exactness: Exactness | None) -> EngineTarget:
    profile = profile_of(model, settings)
    wanted, precision = model.spec.engine.backend, model.spec.engine.precision
    if wanted != "auto":
        return EngineTarget(wanted, precision, "named in spec.engine.backend", profile)
    if profile is None:
        return EngineTarget("openvino", precision, "no accelerator: the CPU's backend")
    on = f"accelerator profile with {profile.gpu_name}"
    if exactness is None:
        return EngineTarget("tensorrt", precision, on, profile)
    if reason := why_not(exactness, precision, profile.compute_capability):
        return EngineTarget("tensorrt", precision, f"{on}; not tensorrt-llm: {reason}", profile)
    return EngineTarget("tensorrt-llm", precision, f"{on}; tensorrt-llm is exact: {exactness.reason}", profile)


def serving_image(model: EmbeddingModel, settings: Settings) -> str:
    """Return the image that serves the model, and builds its engine."""
    return settings.images.gpu_server if model.spec.accelerator else settings.images.server
