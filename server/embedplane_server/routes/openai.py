"""OpenAI's routes: `/v1/embeddings` and `/v1/models`, each also without `/v1`."""

import time
from collections.abc import Sequence
from typing import cast

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedplane_server.embedding import Embedder, Embedding, EmptyInput
from embedplane_server.metrics import Metrics
from embedplane_server.routes.body import read_body, while_wanted
from embedplane_server.routes.edge import Handler
from embedplane_server.routes.errors import InvalidRequest, UnknownModel, VectorSpaceMismatch
from embedplane_server.schemas import EmbeddingRequest, ServedModelCard, ServedModelList, embedding_response
from embedplane_server.served import ServedModel

EMBEDDINGS_PATHS = ("/v1/embeddings", "/embeddings")
VECTOR_SPACE_HEADER = "x-embedplane-vector-space"


class OpenAi:
    """The handlers and what they need."""

    def __init__(self, served: ServedModel, embedder: Embedder, metrics: Metrics, max_seconds: float) -> None:
        self._served = served
        self._embedder = embedder
        self._metrics = metrics
        self._max_seconds = max_seconds
        space, dimensions = served.description.vector_space, served.description.dimensions
        self._accepted_spaces = (space, f"{space};dimensions={dimensions}")

    def shortcuts(self) -> dict[tuple[str, str], Handler]:
        """Return the handlers that are worth calling without a router."""
        return {("POST", path): self.embeddings for path in EMBEDDINGS_PATHS}

    def routes(self) -> list[Route]:
        """Return the routes of this family."""
        return [
            *(Route(path, self.embeddings, methods=["POST"]) for path in EMBEDDINGS_PATHS),
            *(Route(f"{prefix}/models", self.models, methods=["GET"]) for prefix in ("/v1", "")),
            *(Route(f"{prefix}/models/{{name:path}}", self.model, methods=["GET"]) for prefix in ("/v1", "")),
        ]

    async def embeddings(self, request: Request) -> Response:
        """Embed the inputs of a request."""
        started = time.perf_counter()
        self._check_space(request)
        body = parse(await read_body(request, self._embedder.limits.max_bytes))
        self._check(body)
        async with while_wanted(request, self._max_seconds):
            done = await self._embed(body)
        model = body.model or self._served.names[0]
        content = await embedding_response(done.vectors, model, done.tokens, body.encoding_format)
        self._observe(done, time.perf_counter() - started)
        return Response(content, media_type="application/json")

    async def models(self, _: Request) -> Response:
        """List the names that requests may ask for."""
        return _json(ServedModelList(data=[self._card(name) for name in self._served.names]))

    async def model(self, request: Request) -> Response:
        """Describe one of them."""
        name = request.path_params["name"]
        self._check_name(name)
        return _json(self._card(name))

    async def _embed(self, body: EmbeddingRequest) -> Embedding:
        inputs = body.input
        if isinstance(inputs, str):
            return await self._embedder.embed_texts([inputs])
        if not inputs:
            raise EmptyInput
        if isinstance(inputs[0], str):
            return await self._embedder.embed_texts(inputs)
        if isinstance(inputs[0], int):
            return await self._embedder.embed_tokens([inputs])
        return await self._embedder.embed_tokens(cast("Sequence[Sequence[int]]", inputs))

    def _check(self, body: EmbeddingRequest) -> None:
        if body.model is not None:
            self._check_name(body.model)
        native = self._served.description.dimensions
        if body.dimensions is not None and body.dimensions != native:
            raise InvalidRequest(
                f"This model has {native} dimensions; {body.dimensions} is not offered. "
                f"Leave 'dimensions' out or set it to {native}.",
                "dimensions",
            )

    def _check_name(self, name: str) -> None:
        if name not in self._served.names:
            raise UnknownModel(
                f"The model `{name}` does not exist or you do not have access to it. "
                f"This server serves: {', '.join(self._served.names)}.",
                "model",
            )

    def _check_space(self, request: Request) -> None:
        pinned = request.headers.get(VECTOR_SPACE_HEADER)
        if pinned is not None and pinned.replace(" ", "") not in self._accepted_spaces:
            raise VectorSpaceMismatch(
                f"The request pins the vector space {pinned}, but this server serves {self._accepted_spaces[0]}. "
                "Vectors of two spaces cannot be compared: embed the documents again, or call the model they were "
                "made with."
            )

    def _observe(self, done: Embedding, seconds: float) -> None:
        metrics = self._metrics
        metrics.request_seconds.observe(seconds)
        metrics.tokenization_seconds.observe(done.tokenization_seconds)
        metrics.queue_seconds.observe(done.queue_seconds)
        metrics.inference_seconds.observe(done.inference_seconds)

    def _card(self, name: str) -> ServedModelCard:
        description = self._served.description
        return ServedModelCard(
            id=name,
            created=int(self._served.manifest.built_at.timestamp()),
            vector_space=description.vector_space,
            dimensions=description.dimensions,
            max_sequence_length=description.max_sequence_length,
            similarity=description.similarity,
        )


def parse(body: bytes) -> EmbeddingRequest:
    """Validate a body; what is wrong with it is told in OpenAI's way."""
    try:
        return EmbeddingRequest.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if problem["type"] == "json_invalid":
        raise InvalidRequest(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
            f"library correctly. The server expects a JSON payload: {problem['msg']}.)"
        )
    if not problem["loc"]:
        raise InvalidRequest('The JSON body of your request must be an object such as {"input": "text"}.')
    field = str(problem["loc"][0])
    if problem["type"] == "missing":
        raise InvalidRequest(f"Missing required parameter: '{field}'.", field)
    raise InvalidRequest(f"Invalid value for '{field}': {problem['msg'].removeprefix('Value error, ')}.", field)


def _json(document: ServedModelCard | ServedModelList) -> Response:
    return Response(orjson.dumps(document.model_dump()), media_type="application/json")
