"""What `spec.accelerator` and `spec.engine` come to in this installation: the profile, the backend, the image. Pure."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from embedplane_operator.accelerator_profiles import AcceleratorProfile
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.names import ANNOTATION_ACCELERATOR, LABEL_PROFILE
from embedplane_operator.render.tensorrt_llm import Exactness, why_not
from embedplane_operator.settings import Settings

SHARED_MEMORY = "shared-memory"
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

    def identity(self) -> dict[str, Any]:
        """Return what tells engines apart: the value of EMBEDPLANE_ENGINE for those that only look for one."""
        document: dict[str, Any] = {"backend": self.backend, "precision": self.precision}
        if self.gpu:
            document["gpu"] = device_of(self.gpu)
        if self.texts is not None:
            document["texts"] = self.texts
        return document

    def to_document(self) -> dict[str, Any]:
        """Return the value of EMBEDPLANE_ENGINE for a build: with what its machine has to have besides."""
        document = self.identity()
        if self.gpu and self.gpu.minimum_driver:
            document["gpu"] |= {"minimumDriver": self.gpu.minimum_driver}
        return document


def device_of(profile: AcceleratorProfile) -> dict[str, str]:
    """Return the GPU that an engine is built for; a slice of one is another, since it has fewer processors."""
    device = {"name": profile.gpu_name, "computeCapability": profile.compute_capability}
    return device | ({"migProfile": profile.mig} if profile.mig else {})


def profile_of(model: EmbeddingModel, settings: Settings) -> AcceleratorProfile | None:
    """Return the accelerator profile that the model serves on, the first where it names several; None is the CPU.

    Raises `UnknownAcceleratorError` when the installation has no profile of that name.
    """
    if model.spec.accelerator is None:
        return None
    return profile_named(model.spec.accelerator.in_order[0], settings)


def build_profile_of(model: EmbeddingModel, settings: Settings) -> AcceleratorProfile | None:
    """Return the accelerator profile that the model's engine is built on. Raises `UnknownAcceleratorError`."""
    profile = profile_of(model, settings)
    return profile_named(profile.build_profile, settings) if profile and profile.build_profile else profile


def profile_named(name: str, settings: Settings) -> AcceleratorProfile:
    """Return the accelerator profile of a name. Raises `UnknownAcceleratorError`."""
    if name not in settings.accelerator_profiles:
        known = ", ".join(sorted(settings.accelerator_profiles)) or "none"
        raise UnknownAcceleratorError(
            f"spec.accelerator: {name} is not a profile of this installation (known: {known}); "
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


def accelerator_labels(model: EmbeddingModel) -> dict[str, str]:
    """Return the label of server pods that says for which profile they were made."""
    return {LABEL_PROFILE: model.spec.accelerator.in_order[0]} if model.spec.accelerator else {}


def accelerator_annotations(model: EmbeddingModel) -> dict[str, str]:
    """Return the annotation of Jobs and Deployments that keeps which profile was chosen, since when and why."""
    return {ANNOTATION_ACCELERATOR: model.status.accelerator.to_json()} if model.status.accelerator else {}


def shared_memory_mounts(profile: AcceleratorProfile | None) -> tuple[Manifest, ...]:
    """Return the mount of the profile's shared memory, if it gives any."""
    return ({"name": SHARED_MEMORY, "mountPath": "/dev/shm"},) if profile and profile.shared_memory else ()  # noqa: S108 -- an emptyDir in the pod


def shared_memory_volumes(profile: AcceleratorProfile | None) -> tuple[Manifest, ...]:
    """Return the volume behind it, in the memory of the node."""
    if profile is None or profile.shared_memory is None:
        return ()
    return ({"name": SHARED_MEMORY, "emptyDir": {"medium": "Memory", "sizeLimit": str(profile.shared_memory)}},)


def serving_image(model: EmbeddingModel, settings: Settings) -> str:
    """Return the image that serves the model, and builds its engine."""
    return settings.images.gpu_server if model.spec.accelerator else settings.images.server
