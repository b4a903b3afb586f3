"""OpenAI's routes: `/v1/embeddings` and `/v1/models`, each also without `/v1`."""

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedplane_server.cl100k import NAME as CL100K
from embedplane_server.options import OWN_TOKENS, Options
from embedplane_server.refusals import UnknownTokenEncoding
from embedplane_server.routes.door import Call, Door
from embedplane_server.routes.parsing import parse
from embedplane_server.schemas.openai import EmbeddingRequest, ServedModelCard, ServedModelList, embedding_response
from embedplane_server.schemas.truncate import cut

EMBEDDINGS_PATH = "/v1/embeddings"
EMBEDDINGS_PATHS = (EMBEDDINGS_PATH, "/embeddings")
TOKEN_ENCODING_HEADER = "x-embedplane-token-encoding"  # noqa: S105 -- says whose token ids are sent, no secret


class OpenAi:
    """The handlers and what they need."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._served = door.served

    def routes(self) -> list[Route]:
        """Return the routes of this family."""
        return [
            *(Route(path, self.embeddings, methods=["POST"]) for path in EMBEDDINGS_PATHS),
            *(Route(f"{prefix}/models", self.models, methods=["GET"]) for prefix in ("/v1", "")),
            *(Route(f"{prefix}/models/{{name:path}}", self.model, methods=["GET"]) for prefix in ("/v1", "")),
        ]

    async def embeddings(self, request: Request) -> Response:
        """Embed the inputs of a request."""
        async with self._door.open(request) as call:
            body = parse(EmbeddingRequest, call.body)
            if body.model is not None:
                self._door.check_name(body.model)
            done = await call.embed(body.input, options_of(body, self._token_encoding(call)))
            model = body.model or self._served.names[0]
            return call.answer(await embedding_response(done.vectors, model, done.tokens, body.encoding_format), done)

    async def models(self, _: Request) -> Response:
        """List the names that requests may ask for."""
        return _json(ServedModelList(data=[self._card(name) for name in self._served.names]))

    async def model(self, request: Request) -> Response:
        """Describe one of them."""
        name = request.path_params["name"]
        self._door.check_name(name)
        return _json(self._card(name))

    def _token_encoding(self, call: Call) -> str | None:
        """Return whose ids a request says it has. A name that means nothing is refused, whatever the input is."""
        name = call.header(TOKEN_ENCODING_HEADER)
        if name not in (None, OWN_TOKENS, CL100K):
            raise UnknownTokenEncoding(name, (OWN_TOKENS, *self._door.embedder.policy.decoders))
        return name

    def _card(self, name: str) -> ServedModelCard:
        description, matryoshka = self._served.description, self._door.embedder.policy.matryoshka
        return ServedModelCard(
            id=name,
            created=int(self._served.manifest.built_at.timestamp()),
            vector_space=matryoshka.space_name(matryoshka.default),
            dimensions=matryoshka.default,
            max_sequence_length=description.max_sequence_length,
            similarity=description.similarity,
        )


def options_of(body: EmbeddingRequest, encoding: str | None = None) -> Options:
    """Return what a request chooses; `encoding` says whose its token ids are."""
    truncate, side = cut(body.truncate)
    return Options(
        prompt_name=body.prompt_name,
        input_type=body.input_type,
        truncate=truncate,
        cut_side=side,
        dimensions=body.dimensions,
        token_encoding=encoding,
    )


def _json(document: ServedModelCard | ServedModelList) -> Response:
    return Response(orjson.dumps(document.model_dump()), media_type="application/json")
