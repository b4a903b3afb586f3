"""Requests, limits and the threads that follow from them. Pure."""

import math
from collections.abc import Mapping
from decimal import Decimal

from embedplane_operator.accelerator_profiles import AcceleratorProfile
from embedplane_operator.api.pods import ResourceRequirements
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.settings import Settings

CPU = "cpu"
SUFFIXES: Mapping[str, Decimal] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal("1e3"),
}


def cpus_of(quantity: int | str) -> Decimal:
    """Return a quantity of CPUs as a number: "1500m" is 1.5."""
    text = str(quantity)
    if text[-1] in SUFFIXES:
        return Decimal(text[:-1]) * SUFFIXES[text[-1]]
    return Decimal(text)


def threads_for(resources: ResourceRequirements) -> int:
    """Return the threads of an engine: the CPU limit, else the CPU request, rounded up; else 1."""
    cpus = resources.limits.get(CPU, resources.requests.get(CPU, 1))
    return max(1, math.ceil(cpus_of(cpus)))


def render_resources(resources: ResourceRequirements) -> Manifest:
    """Return the container's `resources`; empty parts are left out."""
    parts = {"requests": resources.requests, "limits": resources.limits}
    return {part: {name: str(value) for name, value in sorted(given.items())} for part, given in parts.items() if given}


def with_accelerator(resources: Manifest, model: EmbeddingModel, profile: AcceleratorProfile | None) -> Manifest:
    """Return `resources` with the model's accelerators, as the profile calls them, as a limit."""
    if profile is None or model.spec.accelerator is None:
        return resources
    accelerators = {profile.resource_name: str(model.spec.accelerator.count)}
    return resources | {"limits": resources.get("limits", {}) | accelerators}


def job_resources(model: EmbeddingModel, defaults: ResourceRequirements) -> ResourceRequirements:
    """Return what an export or build Job gets: the model's own wish, else the installation's."""
    own = model.spec.engine.jobs.resources
    return own if own.requests or own.limits else defaults


def build_resources(model: EmbeddingModel, settings: Settings) -> ResourceRequirements:
    """Return what the build Job gets.

    Unless the model names resources for its Jobs, CPUs are those of the server, so that the benchmark measures what
    one replica will do.
    """
    chosen, serving = job_resources(model, settings.jobs.build.resources), model.spec.resources
    is_own = chosen is model.spec.engine.jobs.resources
    if is_own or CPU not in serving.requests | serving.limits:
        return chosen
    return ResourceRequirements(
        requests=_with_cpu_of(chosen.requests, serving.requests),
        limits=_with_cpu_of(chosen.limits, serving.limits),
    )


def _with_cpu_of(chosen: Mapping[str, int | str], serving: Mapping[str, int | str]) -> dict[str, int | str]:
    rest = {name: value for name, value in chosen.items() if name != CPU}
    return rest | ({CPU: serving[CPU]} if CPU in serving else {})
