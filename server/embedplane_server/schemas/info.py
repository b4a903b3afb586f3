"""The answer of `/info`: our own field names, and those of text-embeddings-inference beside them."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from embedplane_server.model.chain import Task


class EmbeddingModelType(BaseModel):
    """How a model that embeds makes one vector of many tokens."""

    pooling: str


class ClassifyingModelType(BaseModel):
    """The labels of a model that classifies, by their place and back."""

    id2label: dict[str, str]
    label2id: dict[str, int]


class ModelType(BaseModel):
    """What the model is for: exactly one of these stands here."""

    embedding: EmbeddingModelType | None = None
    classifier: ClassifyingModelType | None = None
    reranker: ClassifyingModelType | None = None


class SelfCheckInfo(BaseModel):
    """The last check of golden texts against their reference that passed: at start, or while the server runs."""

    at: datetime
    texts: int
    minimum_cosine: float = Field(description="the lowest among them, or what scores count as on that scale")


class Info(BaseModel):
    """Body of `/info`: what this server serves and what it takes."""

    model_config = ConfigDict(protected_namespaces=())

    model: str
    served_model_names: list[str]
    vector_space: str
    task: Task
    labels: list[str] = Field(description="of models that classify, in the order of their logits")
    dimensions: int = Field(description="length of vectors of requests that ask for none, or number of labels")
    native_dimensions: int
    allowed_dimensions: list[int]
    pooling: str | None
    normalized: bool
    similarity: str | None
    prompts: list[str]
    default_prompt: str | None
    max_sequence_length: int
    max_inputs: int = Field(description="inputs of one request")
    max_request_tokens: int
    max_batch_tokens: int
    max_queued_tokens: int
    max_request_bytes: int
    backend: str
    backend_version: str
    precision: str
    conformance: dict[str, float] = Field(
        description="what the engine proved when it was built: how near it is to sentence-transformers in float32"
    )
    commit: str
    self_check: SelfCheckInfo | None = None
    input_types: list[str]
    long_input: Literal["Reject", "Truncate"]
    token_encoding: str = Field(description="whose token ids are meant unless the request says so")
    model_id: str
    model_sha: str
    model_dtype: str
    model_type: ModelType
    max_input_length: int
    max_client_batch_size: int
    max_concurrent_requests: int = Field(
        description="work is admitted by tokens, not by requests: so many inputs of one token may wait"
    )
    max_batch_requests: int | None = None
    auto_truncate: bool
    tokenization_workers: int
    version: str
    sha: str | None = None
    docker_label: str | None = None
