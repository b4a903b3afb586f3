"""What commands hand to the operator in their termination message: names, ids and numbers only (docs/contract.md)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from embedplane_server.model import ModelDescription
from embedplane_server.model.chain import Task
from embedplane_server.model.unsaid import Unsaid
from embedplane_server.store.quarantine import SetAside

_PROMPT_NAMES_BYTES = 512


class Result(BaseModel):
    """Base of all results: frozen, camelCase outside."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    def as_document(self) -> dict[str, Any]:
        """Return the JSON object of the termination message; what is not known is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class VectorSpaceResult(Result):
    """A vector space as the status of an EmbeddingModel shows it."""

    id: str
    task: Task
    dimensions: int
    """Length of a vector, or number of labels."""
    pooling: str | None
    normalized: bool
    max_sequence_length: int
    similarity: str | None
    prompts: tuple[str, ...]
    """Names of the prompts, as many as fit."""
    unsaid: tuple[str, ...] | None = None
    """Names of what the model's files leave unsaid or contradict; None: nothing."""
    parts: dict[str, str] | None = None
    """Digests of what the id is made of (`model/parts.py`)."""


class ConformanceResult(Result):
    """How near an engine's vectors, or its scores on the cosine's scale, are to the reference."""

    texts: int
    minimum_cosine: float
    mean_cosine: float
    own_texts: int | None = None
    """How many of the texts are the user's own; None: none are."""
    first_percentile_cosine: float | None = None
    """This and what follows is not known of engines that were published by older versions."""
    maximum_norm_difference: float | None = None
    """By which part of itself the length of a vector differs at most; None: the model classifies."""
    neighbor_overlap: float | None = None
    """Part of each text's ten nearest texts that is the same; None: the model classifies."""
    minimum_batch_cosine: float | None = None
    """To the same text's vector in another batch; None: the model classifies."""
    maximum_difference: float | None = None
    """Of scores; None: the model embeds."""
    rank_correlation: float | None = None


class BenchmarkResult(Result):
    """How fast an engine was where it was built, with the serving container's number of threads."""

    tokens_per_second: float
    batch_tokens: int


class SetAsideResult(Result):
    """A damaged entry of the store, and where a step has put it."""

    entry: str
    place: str


class BuildResult(Result):
    """The result of `build`."""

    key: str
    variant: str
    backend: str
    backend_version: str
    precision: str
    max_batch_tokens: int
    conformance: ConformanceResult
    benchmark: BenchmarkResult
    built_at: datetime
    set_aside: tuple[SetAsideResult, ...] | None = None


class ExportResult(Result):
    """The result of `export`."""

    export_key: str
    texts: int
    set_aside: tuple[SetAsideResult, ...] | None = None


class ResolveResult(Result):
    """The result of `resolve`."""

    commit: str


class CollectResult(Result):
    """The result of `collect`: how many entries of each kind went, and why others did not."""

    models: int
    exports: int
    engines: int
    leftovers: int
    """Half-written files, broken downloads, damaged entries that were set aside."""
    removed_bytes: int
    in_use: int
    waiting: int
    """Entries that nobody uses and that are younger than the grace period."""
    spared: int
    """Entries that somebody began to use while they were about to go."""


class TensorRtLlmResult(Result):
    """Whether TensorRT-LLM is exact for the model: what `engine.backend: auto` is decided by."""

    is_exact: bool
    reason: str


class FetchResult(Result):
    """The result of `fetch`."""

    commit: str
    digest: str
    size_bytes: int
    architecture: str
    vector_space: VectorSpaceResult
    export_keys: dict[str, str]
    engine: BuildResult | None = None
    tensorrt_llm: TensorRtLlmResult | None = None
    set_aside: tuple[SetAsideResult, ...] | None = None


def vector_space_result(
    description: ModelDescription, unsaid: Sequence[Unsaid] = (), parts: dict[str, str] | None = None
) -> VectorSpaceResult:
    """Return what the status shows of a description and of what was filled in."""
    names: list[str] = []
    for name in sorted(description.prompts):
        if sum(len(known.encode()) + 3 for known in (*names, name)) > _PROMPT_NAMES_BYTES:
            break
        names.append(name)
    return VectorSpaceResult(
        id=description.vector_space,
        task=description.task,
        dimensions=description.dimensions,
        pooling=description.pooling,
        normalized=description.normalized,
        max_sequence_length=description.max_sequence_length,
        similarity=description.similarity,
        prompts=tuple(names),
        unsaid=tuple(each.name for each in unsaid) or None,
        parts=parts,
    )


def set_aside_results(put: Sequence[SetAside]) -> tuple[SetAsideResult, ...] | None:
    """Return what a step says of the damaged entries that it met; None when there were none."""
    return tuple(SetAsideResult(entry=each.name, place=each.place) for each in put) or None
