"""spec.scaling: how many replicas serve. `behavior` has the shape and the meaning of HorizontalPodAutoscaler v2."""

from typing import Literal

from pydantic import ConfigDict, Field

from embedplane_operator.api.base import ApiModel, rules


class ScalingPolicy(ApiModel):
    """A bound on the change within a period."""

    type: Literal["Pods", "Percent"]
    """Pods: a number of replicas. Percent: a share of the replicas at the start of the period."""
    value: int = Field(ge=1, le=100000)
    """The number or the percentage, at least 1."""
    period_seconds: int = Field(ge=1, le=1800)
    """Seconds that are looked at, 1 to 1800."""


class ScaleUp(ApiModel):
    """How replicas are added."""

    stabilization_window_seconds: int = Field(0, ge=0, le=3600)
    """The lowest wish within this time counts; 0 to 3600 seconds. Default: 0."""
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"
    """Which of the policies decides; Disabled never adds replicas. Default: Max."""
    policies: tuple[ScalingPolicy, ...] = Field(
        (
            ScalingPolicy(type="Percent", value=100, period_seconds=15),
            ScalingPolicy(type="Pods", value=4, period_seconds=15),
        ),
        min_length=1,
        max_length=10,
    )
    """Bounds on the change, 1 to 10. Default: double, or 4 more, within 15 seconds."""


class ScaleDown(ApiModel):
    """How replicas are removed."""

    stabilization_window_seconds: int = Field(300, ge=0, le=3600)
    """The highest wish within this time counts; 0 to 3600 seconds. Default: 300."""
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"
    """Which of the policies decides; Disabled never removes replicas. Default: Max."""
    policies: tuple[ScalingPolicy, ...] = Field(
        (ScalingPolicy(type="Percent", value=100, period_seconds=15),),
        min_length=1,
        max_length=10,
    )
    """Bounds on the change, 1 to 10. Default: all within 15 seconds."""


class Behavior(ApiModel):
    """How fast replicas change."""

    scale_up: ScaleUp = ScaleUp()
    """How replicas are added."""
    scale_down: ScaleDown = ScaleDown()
    """How replicas are removed."""


class Scaling(ApiModel):
    """How many replicas serve, from tokens that arrive and wait."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            {
                "rule": "self.minReplicas <= self.maxReplicas",
                "messageExpression": "'minReplicas %d is above maxReplicas %d: raise maxReplicas or lower minReplicas'"
                ".format([self.minReplicas, self.maxReplicas])",
                "message": "minReplicas is above maxReplicas: raise maxReplicas or lower minReplicas",
                "fieldPath": ".minReplicas",
            },
        )
    )
    min_replicas: int = Field(1, ge=1, le=1000)
    """Fewest replicas, 1 to 1000. Default: 1."""
    max_replicas: int = Field(1, ge=1, le=1000)
    """Most replicas, 1 to 1000. Default: 1. Above 1 needs a store that several nodes can mount."""
    target_queue_seconds: float = Field(0.5, ge=0.001, le=3600)
    """Seconds in which waiting interactive requests should be done; 0.001 to 3600. Default: 0.5."""
    target_bulk_queue_seconds: float = Field(60, ge=0.001, le=86400)
    """Seconds in which waiting bulk requests should be done; 0.001 to 86400. Default: 60."""
    target_utilization_percent: int = Field(80, ge=1, le=100)
    """Share of its measured capacity that a replica should be used at, 1 to 100. Default: 80."""
    behavior: Behavior = Behavior()
    """How fast replicas change; shape and meaning of HorizontalPodAutoscaler (autoscaling/v2)."""
    mode: Literal["Builtin", "Disabled"] = "Builtin"
    """Builtin: Embedplane sets the replicas. Disabled: minReplicas once, when the Deployment is made; then whoever sets
    them. Default: Builtin."""
    paused: bool = False
    """True: replicas stay as they are, the status goes on saying what would be done. Default: false."""
