"""EmbeddingModel of embedplane.io/v1alpha1: the single source of the CRD (`hack/generate_crds.py`) and of docs/api.md.

A docstring under a field is what `kubectl explain` prints, which shows no defaults and no limits, so the text has them.
A field stands here only when the code acts on it, and a default of v1alpha1 never changes. Neighbours: `source.py`,
`scaling.py`, `status.py` and `pods.py` hold the larger parts.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from embedplane_operator.api.base import (
    UNIQUE,
    ApiModel,
    IntOrPercent,
    Labels,
    ObjectName,
    Timestamp,
    keyed_by,
    rule,
    rules,
)
from embedplane_operator.api.pods import (
    Affinity,
    EnvironmentVariables,
    LocalObjectReference,
    ResourceRequirements,
    Toleration,
    TopologySpreadConstraint,
)
from embedplane_operator.api.scaling import Scaling
from embedplane_operator.api.source import Source
from embedplane_operator.api.status import EmbeddingModelStatus

GROUP = "embedplane.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "EmbeddingModel"
PLURAL = "embeddingmodels"

Backend = Literal["auto", "openvino", "tensorrt", "tensorrt-llm"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Pooling = Literal["cls", "lasttoken", "max", "mean", "mean_sqrt_len_tokens", "weightedmean"]
PromptName = Annotated[str, Field(min_length=1, max_length=63)]
PromptText = Annotated[str, Field(max_length=4096)]
ServedName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9._:/@+]*)$")]


class Embedding(ApiModel):
    """What differs from the model's own files; part of the vector space: vectors before and after cannot be mixed."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.defaultPrompt) || !has(self.prompts) || self.defaultPrompt in self.prompts",
                "defaultPrompt must name one of prompts; add it there, or leave prompts out to use the model's own",
                field="defaultPrompt",
            )
        )
    )
    pooling: Pooling | None = None
    """How token vectors become one vector. Default: what the model's files say."""
    normalize: bool | None = None
    """Whether vectors are scaled to length 1. Default: what the model's files say."""
    max_sequence_length: Annotated[int, Field(ge=1, le=131072)] | None = None
    """Longest input in tokens, special tokens included; 1 to 131072, never above what the model was trained for.
    Default: what the model's files say."""
    prompts: Annotated[dict[PromptName, PromptText], Field(max_length=64)] | None = None
    """Texts put in front of inputs, by name, instead of the model's own. At most 64, each at most 4096 characters."""
    default_prompt: PromptName | None = None
    """Name of the prompt that is used when a request names none. Default: what the model's files say."""


class Conformance(ApiModel):
    """The proof that an engine gives the reference's vectors."""

    minimum_cosine: float = Field(0.999, gt=0, le=1)
    """Lowest cosine similarity to sentence-transformers in float32 over the golden texts; an engine below it is never
    published. Above 0, at most 1. Default: 0.999."""


class EngineJobs(ApiModel):
    """The export and build Jobs."""

    resources: ResourceRequirements = ResourceRequirements()
    """Requests and limits of both Jobs, instead of the installation's. Write fractions of a CPU as a string: "1.5"."""
    active_deadline_seconds: int = Field(3600, ge=60, le=86400)
    """Seconds after which a running Job is ended; waiting for a node does not count. 60 to 86400. Default: 3600."""


class Engine(ApiModel):
    """How the model is computed."""

    backend: Backend = "auto"
    """auto, openvino (CPU), tensorrt or tensorrt-llm (NVIDIA GPU). Default: auto, which is openvino without an
    accelerator and TensorRT with one; status.engine.reason says why."""
    precision: Precision = "auto"
    """auto, float32, bfloat16 or float16. Default: auto, the fastest of the backend that keeps the vectors."""
    max_batch_tokens: Annotated[int, Field(ge=64, le=1048576)] | None = None
    """Token budget of one forward pass, 64 to 1048576. Default: 16384 on a GPU; on a CPU what takes at most 50 ms.
    status.engine.maxBatchTokens has the value in force."""
    conformance: Conformance = Conformance()
    """The floor under which an engine is not published."""
    jobs: EngineJobs = EngineJobs()
    """Resources and deadline of the export and build Jobs."""


class Accelerator(ApiModel):
    """The hardware to serve on, when it is not the CPU."""

    profile: str = Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    """Name of an accelerator profile of this installation (Helm value acceleratorProfiles), for example nvidia-l4."""
    count: int = Field(1, ge=1, le=16)
    """Accelerators of one replica, 1 to 16. Default: 1."""


class Rollout(ApiModel):
    """How replicas are exchanged when the server changes but not the vector space."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!((self.maxSurge == 0 || self.maxSurge == '0' || self.maxSurge == '0%') && "
                "(self.maxUnavailable == 0 || self.maxUnavailable == '0' || self.maxUnavailable == '0%'))",
                "maxSurge and maxUnavailable cannot both be 0: set maxUnavailable to 1 where no spare node exists",
                field="maxUnavailable",
            )
        )
    )
    max_surge: IntOrPercent = 1
    """Replicas above the wanted number during a rollout: a number or a percentage. Default: 1."""
    max_unavailable: IntOrPercent = 0
    """Replicas below the wanted number during a rollout: a number or a percentage. Default: 0. Set it to 1, and
    maxSurge to 0, where no spare accelerator exists."""


class Serving(ApiModel):
    """The server in front of the engine."""

    max_queued_tokens: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Tokens that may wait in one replica; requests beyond get 429. At least 1. Default: 600000, or 10 s of the
    benchmark if that is more."""
    max_request_seconds: int = Field(300, ge=1, le=3600)
    """Longest time a request may take, waiting included; 1 to 3600. Default: 300. It is part of the grace period."""
    max_connection_seconds: int = Field(60, ge=1, le=86400)
    """Age at which a connection is closed after its current answer, so that clients find new replicas; 1 to 86400.
    Default: 60."""
    drain_delay_seconds: int = Field(10, ge=0, le=600)
    """Seconds in which a replica that was told to end goes on accepting requests; 0 to 600. Default: 10."""
    rollout: Rollout = Rollout()
    """How replicas are exchanged."""


class PodTemplate(ApiModel):
    """What is put over Embedplane's own pod templates, of Jobs and servers unless a field says otherwise."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.labels) || !self.labels.exists(key, key.startsWith('embedplane.io/') || "
                "key == 'app.kubernetes.io/managed-by' || key == 'app.kubernetes.io/component')",
                "labels under embedplane.io/, app.kubernetes.io/managed-by and app.kubernetes.io/component belong to "
                "Embedplane; use a key of your own, for example example.com/team",
                field="labels",
            ),
            rule(
                "!has(self.annotations) || !self.annotations.exists(key, key.startsWith('embedplane.io/'))",
                "annotations under embedplane.io/ belong to Embedplane; use a key of your own, for example "
                "example.com/team",
                field="annotations",
            ),
            rule(
                "!has(self.env) || !self.env.exists(variable, variable.name.startsWith('EMBEDPLANE_'))",
                "variables named EMBEDPLANE_... belong to Embedplane; set the field of spec that means it instead",
                field="env",
            ),
        )
    )
    labels: Labels = Field(default_factory=dict)
    """Labels of the pods. At most 50; keys of Embedplane are refused."""
    annotations: dict[str, Annotated[str, Field(max_length=16384)]] = Field(default_factory=dict, max_length=50)
    """Annotations of the pods. At most 50; keys under embedplane.io/ are refused."""
    node_selector: Labels = Field(default_factory=dict)
    """Node labels that the pods need, besides those of the accelerator profile."""
    tolerations: tuple[Toleration, ...] = Field((), max_length=50)
    """Tolerations of the pods, besides those of the accelerator profile."""
    affinity: Affinity | None = None
    """Affinity of the pods."""
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = Field((), max_length=10)
    """Spread of the server's pods. Default: over nodes and zones where possible, if scaling.maxReplicas is above 1."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods."""
    image_pull_secrets: tuple[LocalObjectReference, ...] = Field((), max_length=10, json_schema_extra=keyed_by("name"))
    """Secrets for pulling images, besides the installation's."""
    env: EnvironmentVariables = ()
    """Environment variables of the server's container only. At most 100; names that start with EMBEDPLANE_ are
    refused."""


class EmbeddingModelSpec(ApiModel):
    """What is wanted."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.accelerator) || self.engine.backend != 'openvino'",
                "engine.backend openvino runs on the CPU: remove accelerator, or set engine.backend to auto",
            ),
            rule(
                "has(self.accelerator) || !self.engine.backend.startsWith('tensorrt')",
                "engine.backend tensorrt and tensorrt-llm need a GPU: set accelerator.profile, or engine.backend to "
                "auto",
            ),
        )
    )
    source: Source
    """Where the model's files come from."""
    served_model_names: tuple[ServedName, ...] = Field((), min_length=1, max_length=20, json_schema_extra=UNIQUE)
    """Names that requests may put into "model"; any other is answered with 404. 1 to 20 names. Default: the name of
    this object, the repository, and model."""
    embedding: Embedding = Embedding()
    """What differs from the model's own files; part of the vector space."""
    engine: Engine = Engine()
    """How the model is computed."""
    accelerator: Accelerator | None = None
    """The hardware to serve on. Default: the CPU."""
    resources: ResourceRequirements = ResourceRequirements()
    """Requests and limits of the server's container. Its threads follow the CPU limit, else the CPU request, else 1.
    Write fractions of a CPU as a string: "1.5"."""
    serving: Serving = Serving()
    """The server in front of the engine."""
    scaling: Scaling = Scaling()
    """How many replicas serve."""
    pod_template: PodTemplate = PodTemplate()
    """What is put over Embedplane's own pod templates."""
    suspend: bool = False
    """True: Embedplane stops acting on this object; what runs goes on. Default: false."""


class Metadata(ApiModel):
    """The part of metadata that the operator reads."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    resource_version: str | None = None
    annotations: dict[str, str] = Field(default_factory=dict)
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None


class EmbeddingModel(ApiModel):
    """A text-embedding model, served behind an OpenAI-compatible endpoint at http://NAME.NAMESPACE/v1."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "metadata.name becomes a host name: start with a letter, use only a-z, 0-9 and -, end with a letter or "
                "digit, at most 40 characters",
            )
        )
    )
    metadata: Metadata
    spec: EmbeddingModelSpec
    """What is wanted."""
    status: EmbeddingModelStatus = EmbeddingModelStatus()
    """What is: written by Embedplane only."""
