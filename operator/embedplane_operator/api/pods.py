"""The parts of core/v1 pods that users may set, typed so that a typo is refused; Kubernetes documents the fields.

Only shapes: what an impossible combination means is decided by the API server when the pod template is dry-run.
"""

from typing import Annotated, Literal

from pydantic import Field

from embedplane_operator.api.base import ApiModel, Labels, LabelValue, ObjectName, Quantity, Text, keyed_by

Key = Annotated[str, Field(min_length=1, max_length=317)]
Values = Annotated[tuple[Annotated[str, Field(max_length=253)], ...], Field(max_length=100)]
Weight = Annotated[int, Field(ge=1, le=100)]


class ResourceRequirements(ApiModel):
    requests: dict[str, Quantity] = Field(default_factory=dict, max_length=20)
    limits: dict[str, Quantity] = Field(default_factory=dict, max_length=20)


class Toleration(ApiModel):
    key: Key | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class NodeRequirement(ApiModel):
    key: Key
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: Values = ()


class NodeSelectorTerm(ApiModel):
    match_expressions: tuple[NodeRequirement, ...] = Field((), max_length=50)
    match_fields: tuple[NodeRequirement, ...] = Field((), max_length=50)


class NodeSelector(ApiModel):
    node_selector_terms: tuple[NodeSelectorTerm, ...] = Field(min_length=1, max_length=20)


class PreferredNode(ApiModel):
    weight: Weight
    preference: NodeSelectorTerm


class NodeAffinity(ApiModel):
    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredNode, ...] = Field((), max_length=20)


class LabelRequirement(ApiModel):
    key: Key
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Values = ()


class LabelSelector(ApiModel):
    match_labels: Labels = Field(default_factory=dict)
    match_expressions: tuple[LabelRequirement, ...] = Field((), max_length=50)


class PodAffinityTerm(ApiModel):
    topology_key: Key
    label_selector: LabelSelector | None = None
    namespaces: tuple[ObjectName, ...] = Field((), max_length=50)
    namespace_selector: LabelSelector | None = None
    match_label_keys: tuple[Key, ...] = Field((), max_length=20)
    mismatch_label_keys: tuple[Key, ...] = Field((), max_length=20)


class PreferredPods(ApiModel):
    weight: Weight
    pod_affinity_term: PodAffinityTerm


class PodAffinity(ApiModel):
    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = Field((), max_length=20)
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredPods, ...] = Field((), max_length=20)


class Affinity(ApiModel):
    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class TopologySpreadConstraint(ApiModel):
    max_skew: int = Field(ge=1, le=1000)
    topology_key: Key
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    label_selector: LabelSelector | None = None
    match_label_keys: tuple[Key, ...] = Field((), max_length=20)
    min_domains: int | None = Field(None, ge=1, le=1000)
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    node_taints_policy: Literal["Honor", "Ignore"] | None = None


class LocalObjectReference(ApiModel):
    name: ObjectName


class KeySelector(ApiModel):
    name: ObjectName
    key: Annotated[str, Field(min_length=1, max_length=253)]
    optional: bool | None = None


class FieldSelector(ApiModel):
    field_path: Text
    api_version: Annotated[str, Field(max_length=63)] | None = None


class EnvironmentSource(ApiModel):
    secret_key_ref: KeySelector | None = None
    config_map_key_ref: KeySelector | None = None
    field_ref: FieldSelector | None = None


class EnvironmentVariable(ApiModel):
    name: str = Field(min_length=1, max_length=253)
    value: Annotated[str, Field(max_length=8192)] | None = None
    value_from: EnvironmentSource | None = None


EnvironmentVariables = Annotated[
    tuple[EnvironmentVariable, ...], Field(max_length=100, json_schema_extra=keyed_by("name"))
]
