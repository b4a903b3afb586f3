"""`/info`: the model, its vector space and the limits, for people and tools; TEI's field names beside ours."""

from collections.abc import Callable
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedplane_server import __version__
from embedplane_server.model import ModelDescription
from embedplane_server.options import Policy, RequestLimits
from embedplane_server.prompts import INPUT_TYPES
from embedplane_server.scheduling.admission import Limits
from embedplane_server.schemas.info import ClassifyingModelType, EmbeddingModelType, Info, ModelType, SelfCheckInfo
from embedplane_server.self_check import Checked
from embedplane_server.served import ServedModel

TEI_POOLING = {"lasttoken": "last_token"}


@dataclass(frozen=True, slots=True)
class ServedLimits:
    """What one request and the queue may hold."""

    request: RequestLimits
    queue: Limits
    tokenizer_threads: int


def info_routes(document: Info, last_check: Callable[[], Checked | None]) -> list[Route]:
    """Return /info."""
    content = document.model_dump()
    content["model_type"] = document.model_type.model_dump(exclude_none=True)

    async def info(_: Request) -> Response:
        checked = last_check()
        content["self_check"] = None if checked is None else _self_check(checked).model_dump(mode="json")
        return Response(orjson.dumps(content), media_type="application/json")

    return [Route("/info", info, methods=["GET"])]


def _self_check(checked: Checked) -> SelfCheckInfo:
    at = checked.at.replace(microsecond=0)
    return SelfCheckInfo(at=at, texts=checked.texts, minimum_cosine=round(checked.minimum_cosine, 6))


def served_info(served: ServedModel, policy: Policy, limits: ServedLimits) -> Info:
    """Return what a server tells of itself."""
    description, engine, request, queue = served.description, served.manifest, limits.request, limits.queue
    matryoshka = policy.matryoshka
    return Info(
        model=served.name,
        served_model_names=list(served.names),
        vector_space=matryoshka.space_name(matryoshka.default),
        dimensions=matryoshka.default,
        native_dimensions=matryoshka.native,
        allowed_dimensions=list(matryoshka.allowed),
        task=description.task,
        labels=list(description.labels),
        pooling=description.pooling,
        normalized=description.normalized,
        similarity=description.similarity,
        prompts=sorted(description.prompts),
        default_prompt=description.default_prompt,
        input_types=list(INPUT_TYPES),
        max_sequence_length=request.max_sequence_length,
        max_inputs=request.max_inputs,
        max_request_tokens=request.max_tokens,
        max_batch_tokens=queue.max_batch_tokens,
        max_queued_tokens=queue.max_queued_tokens,
        max_request_bytes=request.max_bytes,
        backend=engine.backend,
        backend_version=engine.backend_version,
        precision=engine.precision,
        conformance=engine.conformance.model_dump(exclude_none=True),
        commit=engine.commit,
        long_input="Truncate" if policy.truncate else "Reject",
        token_encoding=policy.token_encoding,
        model_id=served.name,
        model_sha=engine.commit,
        model_dtype=engine.precision,
        model_type=_model_type(description),
        max_input_length=request.max_sequence_length,
        max_client_batch_size=request.max_inputs,
        max_concurrent_requests=queue.max_queued_tokens,
        auto_truncate=policy.truncate,
        tokenization_workers=limits.tokenizer_threads,
        version=__version__,
    )


def _model_type(description: ModelDescription) -> ModelType:
    if description.pooling is not None:
        return ModelType(
            embedding=EmbeddingModelType(pooling=TEI_POOLING.get(description.pooling, description.pooling))
        )
    labels = ClassifyingModelType(
        id2label={str(index): label for index, label in enumerate(description.labels)},
        label2id={label: index for index, label in enumerate(description.labels)},
    )
    return ModelType(reranker=labels) if description.kind == "reranker" else ModelType(classifier=labels)
