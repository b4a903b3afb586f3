"""What the user allows the autoscaler to do: bounds, targets and `behavior`, with the defaults of autoscaling/v2.

Plain data. `behavior.py` applies the two directions, `policy.py` the rest.
"""

from dataclasses import dataclass, field
from typing import Literal

from embedplane_operator.api.scaling import ScaleDown, ScaleUp, Scaling

PolicyType = Literal["Pods", "Percent"]
SelectPolicy = Literal["Max", "Min", "Disabled"]

TOLERANCE = 0.1


@dataclass(frozen=True)
class ChangePolicy:
    """At most `value` pods, or percent of the replicas, within `period_seconds`."""

    type: PolicyType
    value: int
    period_seconds: int


@dataclass(frozen=True)
class DirectionRules:
    """How fast replicas may change in one direction, and for how long a recommendation must last before they do."""

    stabilization_window_seconds: float
    policies: tuple[ChangePolicy, ...]
    select_policy: SelectPolicy = "Max"
    tolerance: float = TOLERANCE


def default_scale_up() -> DirectionRules:
    """At once; at most doubling, or 4 pods if that is more, every 15 seconds."""
    return DirectionRules(0.0, (ChangePolicy("Percent", 100, 15), ChangePolicy("Pods", 4, 15)))


def default_scale_down() -> DirectionRules:
    """To the highest number recommended in the last five minutes."""
    return DirectionRules(300.0, (ChangePolicy("Percent", 100, 15),))


@dataclass(frozen=True)
class ScalingRules:
    """What one model's spec says; `utilization` is a fraction."""

    min_replicas: int = 1
    max_replicas: int = 1
    target_queue_seconds: float = 0.5
    target_bulk_queue_seconds: float = 60.0
    utilization: float = 0.8
    scale_up: DirectionRules = field(default_factory=default_scale_up)
    scale_down: DirectionRules = field(default_factory=default_scale_down)
    is_paused: bool = False
    """Decide and say so, but write nothing."""
    is_disabled: bool = False
    """minReplicas once, then hands off."""


def rules_of(scaling: Scaling, suspend: bool = False) -> ScalingRules:
    """Return `spec.scaling` as the policy reads it; a suspended model is a paused one."""
    return ScalingRules(
        min_replicas=scaling.min_replicas,
        max_replicas=scaling.max_replicas,
        target_queue_seconds=scaling.target_queue_seconds,
        target_bulk_queue_seconds=scaling.target_bulk_queue_seconds,
        utilization=scaling.target_utilization_percent / 100,
        scale_up=_direction_of(scaling.behavior.scale_up),
        scale_down=_direction_of(scaling.behavior.scale_down),
        is_paused=scaling.paused or suspend,
        is_disabled=scaling.mode == "Disabled",
    )


def _direction_of(direction: ScaleUp | ScaleDown) -> DirectionRules:
    policies = tuple(ChangePolicy(p.type, p.value, p.period_seconds) for p in direction.policies)
    return DirectionRules(direction.stabilization_window_seconds, policies, direction.select_policy)
