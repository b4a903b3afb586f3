"""`/info`: the model, its vector space and the limits, for people and tools."""

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedplane_server.embedding import RequestLimits
from embedplane_server.scheduling.admission import Limits
from embedplane_server.schemas import Info
from embedplane_server.served import ServedModel


def info_routes(served: ServedModel, requests: RequestLimits, queue: Limits) -> list[Route]:
    """Return /info."""
    description, engine = served.description, served.manifest
    document = Info(
        model=served.name,
        served_model_names=list(served.names),
        vector_space=description.vector_space,
        dimensions=description.dimensions,
        pooling=description.pooling,
        normalized=description.normalized,
        similarity=description.similarity,
        prompts=sorted(description.prompts),
        default_prompt=description.default_prompt,
        max_sequence_length=requests.max_sequence_length,
        max_inputs=requests.max_inputs,
        max_request_tokens=requests.max_tokens,
        max_batch_tokens=queue.max_batch_tokens,
        max_queued_tokens=queue.max_queued_tokens,
        max_request_bytes=requests.max_bytes,
        backend=engine.backend,
        backend_version=engine.backend_version,
        precision=engine.precision,
    )
    body = orjson.dumps(document.model_dump())

    async def info(_: Request) -> Response:
        return Response(body, media_type="application/json")

    return [Route("/info", info, methods=["GET"])]
