"""The accelerator profiles of an installation, as docs/accelerators.md has them; a part of its settings."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from embedplane_operator.api.base import Labels, ObjectName, Quantity
from embedplane_operator.api.pods import Toleration
from embedplane_operator.settings_part import Part

RESOURCE = r"^[a-z0-9][-a-z0-9.]*/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
MIG_PROFILE = r"^([0-9]+c\.)?[0-9]+g\.[0-9]+gb(\.[a-z]+)*$"


class ProfileToleration(Toleration, extra="forbid"):
    """A toleration in a profile."""


class AcceleratorProfile(Part):
    """One kind of accelerator, and how its nodes are told."""

    resource_name: str = Field(max_length=253, pattern=RESOURCE)
    node_selector: Labels = Field(default_factory=dict)
    tolerations: tuple[ProfileToleration, ...] = ()
    runtime_class_name: ObjectName | None = None
    shared_memory: Quantity | None = None
    """Size of /dev/shm; it counts towards the container's memory."""
    gpu_name: str = Field(min_length=1)
    compute_capability: str = Field(pattern=r"^[0-9]+\.[0-9]+$")
    mig_profile: Annotated[str, Field(pattern=MIG_PROFILE)] | None = None
    """The slice that a pod gets, where the resource's name does not say it."""
    minimum_driver: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+){0,2}$")] | None = None
    build_profile: str | None = None
    """Name of the profile whose nodes build for this one; they have the same GPU."""

    @field_validator("mig_profile")
    @classmethod
    def _says_what_the_resource_says(cls, given: str | None, info: ValidationInfo) -> str | None:
        named = _mig_of(info.data.get("resource_name", ""))
        if given and named and given != named:
            raise ValueError(f"resourceName is of {named}: remove migProfile")
        return given

    @property
    def mig(self) -> str | None:
        """The slice of a GPU that a pod gets; None is a whole GPU, be it for a part of the time."""
        return self.mig_profile or _mig_of(self.resource_name)

    @property
    def device(self) -> tuple[str, str, str | None]:
        """What engines are built for."""
        return self.gpu_name, self.compute_capability, self.mig


def _mig_of(resource_name: str) -> str | None:
    """The slice in the name of a resource; `.shared` behind it says that pods take turns."""
    found = re.fullmatch(r"nvidia\.com/mig-(.+?)(\.shared)?", resource_name)
    return found[1] if found else None


def check_builders(profiles: Mapping[str, AcceleratorProfile]) -> None:
    """Raise ValueError where builds would run on another kind of GPU than servers."""
    for name, profile in profiles.items():
        builder = profiles.get(profile.build_profile or name)
        if builder is None:
            raise ValueError(f"{name}.buildProfile names {profile.build_profile}, which is no profile")
        if builder.device != profile.device:
            raise ValueError(
                f"{name}.buildProfile names {profile.build_profile}, whose nodes have {_words_for(builder)}, and "
                f"those of {name} have {_words_for(profile)}: an engine runs on the kind of GPU that it was built "
                "and proven on only; name a profile of that kind, or remove buildProfile"
            )


def _words_for(profile: AcceleratorProfile) -> str:
    slice_of = f"{profile.mig} of " if profile.mig else ""
    return f"{slice_of}{profile.gpu_name} (compute capability {profile.compute_capability})"
