"""status of an EmbeddingModel, written by the operator only. Types and reasons of conditions are in `conditions.py`.

`inputs` of a part is the hash of the wishes it was resolved from (`render/inputs.py`): while it stays the same nothing
is resolved or built again, whatever version of Embedplane runs.
"""

from typing import Annotated, Literal

from pydantic import Field

from embedplane_operator.api.accelerator import AcceleratorStatus
from embedplane_operator.api.base import ApiModel, Text, Timestamp, keyed_by
from embedplane_operator.api.roles import Role

Hash = Annotated[str, Field(max_length=128)]


class Condition(ApiModel):
    """One thing that is true or false about the model."""

    type: str = Field(min_length=1, max_length=63)
    """What it is about, for example Ready."""
    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""
    observed_generation: int | None = None
    """metadata.generation that it was said of."""
    last_transition_time: Timestamp
    """When the status last changed."""
    reason: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z][A-Za-z0-9]*$")
    """Why, in one word."""
    message: str = Field("", max_length=8192)
    """Why, and what to do, in words."""


class SourceStatus(ApiModel):
    """The model's files as they were pinned."""

    inputs: Hash
    """Hash of the wishes that the commit was resolved from."""
    commit: Hash
    """Commit of the hub, digest of a bucket's entity tags, or sha256 of a claim's folder."""
    digest: Hash
    """Digest of the model in the store."""
    size_bytes: int
    """Size of the model's files."""
    architecture: Text | None = None
    """Architecture that config.json names."""


class UpstreamStatus(ApiModel):
    """What the source named when it was last asked (spec.source.driftCheckInterval)."""

    inputs: Hash
    """Hash of the source and of the pinned commit that it was asked beside."""
    commit: Hash
    """Commit that the source names; SourceDrifted is True where it is another than the pinned one."""


class VectorSpaceStatus(ApiModel):
    """The vector space: vectors can be compared if, and only if, their id is the same."""

    inputs: Hash
    """Hash of the wishes that the space was resolved from."""
    id: Hash
    """Identity of the vector space. It ends with ;dimensions=N where spec.embedding.dimensions.default shortens
    vectors. A model that classifies has one too."""
    task: Text | None = None
    """What the model is for: embedding or classification."""
    dimensions: int
    """Length of a vector, where a request names none. Of a model that classifies: its number of labels."""
    native_dimensions: int | None = None
    """Length of the model's own vectors, where it is another."""
    allowed_dimensions: tuple[int, ...] = Field((), max_length=64)
    """Further lengths that requests may ask for."""
    pooling: Text | None = None
    """How token vectors become one vector."""
    normalized: bool
    """Whether vectors have length 1."""
    max_sequence_length: int
    """Longest input in tokens."""
    similarity: Text | None = None
    """Similarity function that the model was made for."""
    prompts: tuple[Text, ...] = Field((), max_length=256)
    """Names of the prompts."""
    unsaid: Annotated[tuple[Text, ...], Field(max_length=32)] | None = None
    """What the model's files leave unsaid or contradict, so that it was filled in; absent where nothing is."""
    parts: Annotated[dict[str, Hash], Field(max_length=16)] | None = None
    """A short digest of each part that the identity is made of: what differs between two spaces."""

    @property
    def base_id(self) -> str:
        """The identity of the model's own vectors, which engines are of: servers cut what those compute."""
        return self.id.partition(";")[0]


class SpaceStatus(ApiModel):
    """A vector space that is alive, and what it is to the model."""

    id: Hash
    """Name of the space: what spec.activeVectorSpace may name."""
    role: Role
    """Active, Candidate or Retiring."""
    deployment: Text | None = None
    """The Deployment that serves it; absent until there is one."""
    service: Text | None = None
    """The Service that leads to it; absent where none does any more."""
    replicas: int = 0
    """Pods of its servers."""
    ready_replicas: int = 0
    """Pods that take requests."""
    retiring_since: Timestamp | None = None
    """When it stopped being the active one."""


class CandidateStatus(ApiModel):
    """What the spec leads to, while another space is active."""

    source: SourceStatus
    """The model's files as they were pinned."""
    vector_space: VectorSpaceStatus
    """The vector space."""


class ConformanceStatus(ApiModel):
    """How near the engine's vectors, or its scores, are to sentence-transformers in float32."""

    texts: int
    """Number of texts compared: the golden ones, and your own."""
    own_texts: int | None = None
    """How many of them come from spec.engine.conformance.textsFrom."""
    minimum_cosine: float
    """Lowest cosine similarity among them, or what scores count on that scale."""
    mean_cosine: float
    """Mean cosine similarity."""
    first_percentile_cosine: float | None = None
    """Cosine similarity that all but one in a hundred texts have at least."""
    maximum_norm_difference: float | None = None
    """By which part of itself the length of a vector differs at most; absent where the model classifies."""
    neighbor_overlap: float | None = None
    """Part of each text's ten nearest texts that is the same, on average; absent where the model classifies."""
    minimum_batch_cosine: float | None = None
    """Lowest cosine similarity of a vector to the same text's in another batch; absent where the model classifies."""
    maximum_difference: float | None = None
    """Largest difference of scores; absent where the model embeds."""
    rank_correlation: float | None = None
    """How well the order by scores agrees; absent where the model embeds."""


class BenchmarkStatus(ApiModel):
    """How fast the engine was when it was built, with the server's own CPU limit."""

    tokens_per_second: float
    """Tokens per second."""
    batch_tokens: int
    """Tokens of a batch."""


class SetAside(ApiModel):
    """A damaged entry of the store, and where it was put."""

    entry: Text
    """Name of the entry."""
    place: Text
    """Folder of the store that it is in now."""


class EngineStatus(ApiModel):
    """The engine that serves, or is about to."""

    inputs: Hash
    """Hash of the wishes that the engine was built from."""
    key: Hash
    """Key of the engine in the store."""
    variant: Text | None = None
    """Variant of the engine that was built."""
    backend: Text
    """Library that computes."""
    reason: Text | None = None
    """Why this backend."""
    backend_version: Text
    """Version of the library."""
    precision: Text
    """Number format of the computation."""
    max_batch_tokens: int
    """Token budget of one forward pass."""
    conformance: ConformanceStatus
    """How near the vectors are to the reference."""
    benchmark: BenchmarkStatus
    """How fast it is."""
    built_at: Timestamp
    """When it was built."""
    set_aside: tuple[SetAside, ...] | None = Field(None, max_length=8)
    """Damaged entries of the store that were set aside when it was built."""


class BuildTicket(ApiModel):
    """A model's place in line, where the number of builds is bounded."""

    profile: Text | None = None
    """Accelerator profile that it waits to build for; none: the CPU."""
    since: Timestamp
    """When it began to wait; who has waited longest comes first."""


class ScalingStatus(ApiModel):
    """What the autoscaler last decided, and from what."""

    desired_replicas: int
    """Replicas it wants."""
    reason: Text
    """Why, in one word."""
    queued_tokens: int | None = None
    """Tokens waiting in all replicas."""
    arriving_tokens_per_second: int | None = None
    """Tokens that arrive each second."""
    capacity_tokens_per_second: int | None = None
    """Tokens that one replica can do each second."""
    last_scale_time: Timestamp | None = None
    """When the replicas last changed."""


class EmbeddingModelStatus(ApiModel):
    """What is."""

    observed_generation: int | None = None
    """metadata.generation that this status was made from."""
    served_generation: int | None = None
    """metadata.generation whose spec all ready replicas serve; 0: not known any more, because a status was lost."""
    conditions: tuple[Condition, ...] = Field((), max_length=32, json_schema_extra=keyed_by("type"))
    """What is true and false about the model; Ready is the summary."""
    source: SourceStatus | None = None
    """The model's files as they were pinned."""
    upstream: UpstreamStatus | None = None
    """What the source names by now, where spec.source.driftCheckInterval is set."""
    vector_space: VectorSpaceStatus | None = None
    """The vector space that is served."""
    engine: EngineStatus | None = None
    """The engine that serves, or is about to."""
    accelerator: AcceleratorStatus | None = None
    """The accelerator profile in use."""
    build_ticket: BuildTicket | None = None
    """Its place in line for a build, while the number of builds is bounded and it is not its turn."""
    vector_spaces: tuple[SpaceStatus, ...] = Field((), max_length=8, json_schema_extra=keyed_by("id"))
    """The spaces that are alive, with vectorSpacePolicy SideBySide or where several are."""
    candidate: CandidateStatus | None = None
    """What the spec leads to, while another space is active."""
    replicas: int | None = None
    """Pods of the server."""
    ready_replicas: int | None = None
    """Pods of the server that take requests."""
    url: Annotated[str, Field(max_length=500)] | None = None
    """Endpoint inside the cluster; OpenAI clients take it without /embeddings as their base URL."""
    scaling: ScalingStatus | None = None
    """What the autoscaler last decided."""
