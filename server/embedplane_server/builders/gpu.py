"""What the GPU of this machine is, as far as engines depend on it, in the words of nvidia-smi.

NVIDIA's container runtime puts nvidia-smi beside the driver into every container that was given a GPU.
"""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from embedplane_server.builders.machine import Machine, architecture, machine_class
from embedplane_server.errors import PermanentError, PermanentReason
from embedplane_server.settings import LEAST_FOR_FP8, Gpu, capability_of

_QUERY = ("nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader", "--id=0")
_SECONDS = 60
_VARIANT = re.compile(r"(?P<gpu>.+-sm\d+)-r(?P<branch>\d+)")
_LEAST_FOR_BFLOAT16 = (8, 0)


@dataclass(frozen=True, slots=True)
class GpuMachine:
    """A GPU and its driver."""

    architecture: str
    name: str
    compute_capability: str
    driver: str

    @property
    def kind(self) -> str:
        """The GPU and its compute capability, for which kernels are chosen: nvidia-l4-sm89."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")
        return f"{slug}-sm{self.compute_capability.replace('.', '')}"

    @property
    def variant(self) -> str:
        """The kind, and the branch of the driver: nvidia-l4-sm89-r580."""
        return f"{self.kind}-r{self.branch}"

    @property
    def facts(self) -> dict[str, str]:
        return {"gpu": self.name, "computeCapability": self.compute_capability, "driver": self.driver}

    @property
    def branch(self) -> int:
        return int(self.driver.partition(".")[0])

    @property
    def has_bfloat16(self) -> bool:
        return capability_of(self.compute_capability) >= _LEAST_FOR_BFLOAT16

    @property
    def has_fp8(self) -> bool:
        return capability_of(self.compute_capability) >= LEAST_FOR_FP8

    def can_run(self, variant: str, precision: str) -> bool:
        """Say whether an engine of a variant runs here as it was proven.

        It needs the same GPU, because kernels were chosen for that, and no driver older than where it was built.
        """
        found, own = _VARIANT.fullmatch(variant), _VARIANT.fullmatch(self.variant)
        if found is None or own is None:
            return False
        return found["gpu"] == own["gpu"] and int(found["branch"]) <= self.branch

    def is_served_by(self, variant: str) -> bool:
        """Whatever runs here is as fast as what would be built here: nodes of one pool may differ in their drivers."""
        return self.can_run(variant, "")


def this_machine() -> Machine:
    """Return what engines of this image run on: a GPU where the image has TensorRT, else the CPU."""
    return gpu_machine() if find_spec("tensorrt") else machine_class()


def gpu_machine(query: Callable[[], str] | None = None) -> GpuMachine:
    """Return the first GPU of this machine; the error says what is missing."""
    line = (query or _ask)().strip().split("\n", 1)[0]
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 3 or not re.fullmatch(r"\d+\.\d+", parts[1]) or not parts[2][:1].isdigit():
        raise _no_gpu(f"nvidia-smi says {line!r}")
    return GpuMachine(architecture(), *parts)


def need_gpu(machine: GpuMachine, wanted: Gpu | None) -> None:
    """Refuse to build on another GPU than the profile names, which is in the engine's key, or with an older driver."""
    if wanted is None:
        return
    if (machine.name, machine.compute_capability) != (wanted.name, wanted.compute_capability):
        raise PermanentError(
            PermanentReason.INVALID_SETTINGS,
            f"the accelerator profile says {wanted.name} (compute capability {wanted.compute_capability}), but this "
            f"node has {machine.name} ({machine.compute_capability}). Correct gpuName, computeCapability or "
            "nodeSelector of the profile in the Helm value acceleratorProfiles.",
        )
    if wanted.minimum_driver is not None and _numbers(machine.driver) < _numbers(wanted.minimum_driver):
        raise PermanentError(
            PermanentReason.DRIVER_TOO_OLD,
            f"this node's driver is {machine.driver}, older than {wanted.minimum_driver}, the minimumDriver of the "
            f"accelerator profile for {wanted.name}. Install a newer driver on the nodes of the profile, or let its "
            "nodeSelector choose nodes that have one (Helm value acceleratorProfiles).",
        )


def _numbers(version: str) -> tuple[int, ...]:
    """Return a version as numbers: that of a branch, 550, is older than each release of it, 550.54.14."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _ask() -> str:
    try:
        done = subprocess.run(_QUERY, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603 -- all of it is fixed
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _no_gpu(f"nvidia-smi: {error}") from error
    if done.returncode:
        raise _no_gpu(f"nvidia-smi: {(done.stdout + done.stderr).strip()[:200]}")
    return done.stdout


def _no_gpu(cause: str) -> PermanentError:
    return PermanentError(
        PermanentReason.BACKEND_UNAVAILABLE,
        f"this container has no NVIDIA GPU that answers ({cause}). Check that the node has a driver, that the "
        "accelerator profile asks for its resource (nvidia.com/gpu), and whether it needs a runtimeClassName.",
    )
