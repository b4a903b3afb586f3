"""The two images: built from this checkout, or given. The report has their digests, never their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.gpu_smoke.containers import Ended, Runtime
from hack.gpu_smoke.outcome import StepFailedError

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "server" / "Dockerfile"
GPU, EXPORTER = "gpu-server", "exporter"
"""Targets of the Dockerfile."""
TAG = "gpu-smoke"
BUILD_SECONDS = 3 * 3600.0
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Wanted:
    """What the command line says of images."""

    gpu_image: str | None = None
    exporter_image: str | None = None
    gpu_base: str | None = None
    torch_index: str | None = None


def gpu_image(runtime: Runtime, wanted: Wanted) -> str:
    """Return the GPU image's name; without a given one it is built. Raises `StepFailedError`."""
    if wanted.gpu_image:
        return _pulled(runtime, wanted.gpu_image)
    base = base_by_digest(runtime, wanted.gpu_base or default_base())
    return _built(runtime, GPU, [f"GPU_BASE={base}"])


def exporter_image(runtime: Runtime, wanted: Wanted) -> str:
    """Return the exporter image's name; without a given one it is built. Raises `StepFailedError`."""
    if wanted.exporter_image:
        return _pulled(runtime, wanted.exporter_image)
    return _built(runtime, EXPORTER, [f"TORCH_INDEX={wanted.torch_index}"] if wanted.torch_index else [])


def default_base() -> str:
    """Return the image that server/Dockerfile names."""
    (line,) = (line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if line.startswith("ARG GPU_BASE="))
    return line.partition("=")[2]


def base_by_digest(runtime: Runtime, name: str) -> str:
    """Return an image's name with its digest: a tag is pulled, so that what is built on is known. Raises the same."""
    if "@sha256:" in name:
        return name
    _pulled(runtime, name)
    said = runtime.ask("image", "inspect", "--format", "{{json .RepoDigests}}", name)
    repository = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
    if digest := _DIGEST.search(said.output):
        return f"{repository}@{digest[0]}"
    raise StepFailedError(f"{name} has no digest; name one with --gpu-base NAME@sha256:...", said.tail)


def digest_of(runtime: Runtime, name: str) -> str:
    """Return the digest of an image that is here, "?" when it is not known."""
    found = re.search(r"[0-9a-f]{64}", runtime.ask("image", "inspect", "--format", "{{.Id}}", name).output)
    return f"sha256:{found[0]}" if found else "?"


def _pulled(runtime: Runtime, name: str) -> str:
    if runtime.ask("image", "inspect", name).exit_code != 0:
        _need(runtime.ask("pull", "--quiet", name, within=BUILD_SECONDS), "the image cannot be pulled")
    return name


def _built(runtime: Runtime, target: str, arguments: Sequence[str]) -> str:
    tag = f"embedplane-{target}:{TAG}"
    given = [part for argument in arguments for part in ("--build-arg", argument)]
    command = ["build", "--file", str(DOCKERFILE), "--target", target, "--tag", tag, *given, str(ROOT)]
    _need(runtime.ask(*command, within=BUILD_SECONDS), f"the target {target} of server/Dockerfile cannot be built")
    return tag


def _need(ended: Ended, problem: str) -> None:
    if ended.exit_code != 0:
        raise StepFailedError(problem, ended.tail)
