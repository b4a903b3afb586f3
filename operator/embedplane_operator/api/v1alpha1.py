"""EmbeddingModel of embedplane.io/v1alpha1: the single source of the CRD (`hack/generate_crds.py`) and of docs/api.md.

A docstring under a field is what `kubectl explain` prints, which shows no defaults and no limits, so the text has them.
A field stands here only when the code acts on it, and a default of v1alpha1 never changes. Neighbours: `source.py`,
`embedding.py`, `conformance.py`, `accelerator.py`, `serving.py`, `scaling.py`, `status.py` and `pods.py` hold the
larger parts.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from embedplane_operator.api.accelerator import Accelerator
from embedplane_operator.api.base import (
    UNIQUE,
    ApiModel,
    Labels,
    ObjectName,
    Timestamp,
    keyed_by,
    rule,
    rules,
)
from embedplane_operator.api.conformance import Conformance
from embedplane_operator.api.durations import Duration, duration_rule
from embedplane_operator.api.embedding import Embedding
from embedplane_operator.api.pods import (
    Affinity,
    EnvironmentVariables,
    LocalObjectReference,
    ResourceRequirements,
    Toleration,
    TopologySpreadConstraint,
)
from embedplane_operator.api.scaling import Scaling
from embedplane_operator.api.serving import Serving
from embedplane_operator.api.source import Source
from embedplane_operator.api.status import EmbeddingModelStatus

GROUP = "embedplane.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "EmbeddingModel"
PLURAL = "embeddingmodels"

SPACE_NAME = "^vs[0-9]+-[0-9a-f]{20}(;dimensions=[0-9]{1,6})?$"

Backend = Literal["auto", "openvino", "tensorrt", "tensorrt-llm"]
Precision = Literal["auto", "float32", "bfloat16", "float16", "int8", "fp8"]
ServedName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9._:/@+]*)$")]


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
    """auto, float32, bfloat16, float16 (GPUs only), int8 (CPUs only; it needs a lower conformance.minimumCosine) or fp8
    (tensorrt on GPUs of compute capability 8.9 or newer). Default: auto, the fastest of the backend that keeps the
    vectors, which is never int8 or fp8."""
    max_batch_tokens: Annotated[int, Field(ge=64, le=1048576)] | None = None
    """Token budget of one forward pass, 64 to 1048576. Default: 16384 on a GPU; on a CPU what takes at most 50 ms.
    status.engine.maxBatchTokens has the value in force."""
    conformance: Conformance = Conformance()
    """The floor under which an engine is not published."""
    jobs: EngineJobs = EngineJobs()
    """Resources and deadline of the export and build Jobs."""


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
            rule(
                "self.engine.precision != 'fp8' || (has(self.accelerator) && self.engine.backend in ['auto', "
                "'tensorrt'])",
                "engine.precision fp8 is for engine.backend tensorrt on GPUs of compute capability 8.9 or newer (L4, "
                "L40S, H100): set accelerator.profile to one of them and engine.backend to auto, or engine.precision "
                "to auto",
            ),
            rule(
                "!has(self.accelerator) || self.engine.precision != 'int8'",
                "engine.precision int8 is for CPUs: remove accelerator, or set engine.precision to auto",
            ),
            rule(
                f"!has(self.activeVectorSpace) || self.activeVectorSpace.matches('{SPACE_NAME}')",
                "activeVectorSpace is the name of a vector space as status.vectorSpaces has it, for example "
                "vs1-0123456789abcdef0123 or vs1-0123456789abcdef0123;dimensions=256",
                field="activeVectorSpace",
            ),
            duration_rule("retireAfter"),
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
    vector_space_policy: Literal["Refuse", "SideBySide"] = "Refuse"
    """What becomes of a change that leads to another vector space. Refuse: nothing moves, and the status says what
    differs. SideBySide: the new space is served beside the old one at the Service NAME-candidate, until
    activeVectorSpace names it. Default: Refuse."""
    active_vector_space: Annotated[str, Field(max_length=64)] | None = None
    """With SideBySide: name of the space that the main Service serves, as status.vectorSpaces has it. Changing it is
    the cut-over, and changing it back the return. Default: the space that was served first stays."""
    retire_after: Duration = "24h"
    """How long a space is kept that is not active any more, for example 90s, 30m or 24h. Afterwards it goes as soon as
    no request reaches it. Default: 24h."""
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
