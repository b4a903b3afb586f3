"""spec.accelerator, the profile of it that is in use, and its way through the annotation `embedplane.io/accelerator`.

The annotation of fetch and build Jobs and of the Deployment keeps the choice when the status is lost, so that a model
is not moved back to a profile that it gave up.
"""

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import ConfigDict, Field, ValidationError

from embedplane_operator.api.base import ApiModel, Text, Timestamp, manifest_of, rule, rules
from embedplane_operator.api.durations import Duration, duration_rule

ANNOTATION = "embedplane.io/accelerator"

ProfileName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]


class Accelerator(ApiModel):
    """The hardware to serve on, when it is not the CPU; one of profile and profiles is set."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.profile) != has(self.profiles)",
                "set exactly one of profile, for example nvidia-l4, and profiles, for example [nvidia-l4, nvidia-t4], "
                "whose first with room is taken",
            ),
            rule(
                "!has(self.profiles) || self.profiles.all(name, self.profiles.exists_one(other, other == name))",
                "profiles names a profile twice: each is tried once, so remove one of the two",
                field="profiles",
            ),
            duration_rule("fallbackAfter"),
        )
    )
    profile: ProfileName | None = None
    """Name of an accelerator profile of this installation (Helm value acceleratorProfiles), for example nvidia-l4."""
    profiles: tuple[ProfileName, ...] = Field((), min_length=1, max_length=8)
    """Instead of profile: names of 1 to 8 profiles, the preferred one first. One whose nodes have no room for
    fallbackAfter is given up for the next, with an engine of its own. status.accelerator says which is in use."""
    fallback_after: Duration = "15m"
    """How long pods may wait for a node of a profile before the next of profiles is tried, while no server is ready;
    for example 90s, 15m or 1h. Default: 15m, which is as long as autoscalers wait for a node."""
    count: int = Field(1, ge=1, le=16)
    """Accelerators of one replica, 1 to 16. Default: 1."""

    @property
    def in_order(self) -> tuple[str, ...]:
        """The profiles, the preferred one first."""
        return (self.profile,) if self.profile else self.profiles

    def after(self, profile: str) -> str | None:
        """The profile that comes next; None at the end."""
        return dict(zip(self.in_order, self.in_order[1:], strict=False)).get(profile)

    def on(self, profile: str) -> "Accelerator":
        """The same, as if only this profile had been named."""
        return self.model_copy(update={"profile": profile, "profiles": ()})


class AcceleratorStatus(ApiModel):
    """The accelerator profile in use."""

    inputs: Annotated[str, Field(max_length=128)]
    """Hash of the wishes that it was chosen from: the count, and the names of the profiles up to this one."""
    profile: ProfileName
    """Name of the profile."""
    since: Timestamp
    """When it was chosen."""
    reason: Text
    """Why this one."""

    def to_json(self) -> str:
        """The annotation's text: the same for the same content."""
        return json.dumps(manifest_of(self), sort_keys=True, separators=(",", ":"))


def read_accelerator(annotations: Mapping[str, str]) -> AcceleratorStatus | None:
    """The profile that a Job or a Deployment says was in use; None if it does not say so in a way we can read."""
    try:
        return AcceleratorStatus.model_validate_json(annotations.get(ANNOTATION, "null"))
    except ValidationError:
        return None
