"""The routes of text-embeddings-inference, with its field names and answers."""

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedplane_server.embedding import Embedding
from embedplane_server.options import Options
from embedplane_server.refusals import EmptyInput
from embedplane_server.routes.door import Call, Door
from embedplane_server.routes.parsing import parse
from embedplane_server.schemas.tei import (
    DecodeRequest,
    EmbedAllRequest,
    EmbedRequest,
    SimilarityRequest,
    TokenizeRequest,
)
from embedplane_server.schemas.vectors import token_vectors_json, vectors_json
from embedplane_server.similarity import similarities
from embedplane_server.spelling import Spelling


class Tei:
    """The handlers and what they need."""

    def __init__(self, door: Door, spelling: Spelling) -> None:
        self._door = door
        self._spelling = spelling

    def routes(self) -> list[Route]:
        """Return the routes of this family, except `/info` and `/health`."""
        return [
            Route("/embed", self.embed, methods=["POST"]),
            Route("/embed_all", self.embed_all, methods=["POST"]),
            Route("/similarity", self.similarity, methods=["POST"]),
            Route("/tokenize", self.tokenize, methods=["POST"]),
            Route("/decode", self.decode, methods=["POST"]),
        ]

    async def embed(self, request: Request) -> Response:
        """Embed the inputs of a request."""
        async with self._door.open(request) as call:
            body = parse(EmbedRequest, call.body)
            options = Options(
                prompt_name=body.prompt_name,
                input_type=body.input_type,
                truncate=body.truncate,
                cut_side=body.side,
                dimensions=body.dimensions,
                normalize=body.normalize,
            )
            done = await call.embed(body.inputs, options)
            return with_teis_headers(call, done, await vectors_json(done.vectors))

    async def embed_all(self, request: Request) -> Response:
        """Return the vectors of the tokens of each input, special tokens included, as they are before pooling."""
        async with self._door.open(request) as call:
            body = parse(EmbedAllRequest, call.body)
            options = Options(
                prompt_name=body.prompt_name,
                input_type=body.input_type,
                truncate=body.truncate,
                cut_side=body.side,
                every_token=True,
            )
            done = await call.embed(body.inputs, options)
            return with_teis_headers(call, done, await token_vectors_json(done.by_input))

    async def similarity(self, request: Request) -> Response:
        """Say how near one text is to others."""
        async with self._door.open(request) as call:
            body = parse(SimilarityRequest, call.body)
            if not body.inputs.sentences:
                raise EmptyInput
            options = Options()
            if (wanted := body.parameters) is not None:
                options = Options(prompt_name=wanted.prompt_name, truncate=wanted.truncate, cut_side=wanted.side)
            done = await call.embed([body.inputs.source_sentence, *body.inputs.sentences], options)
            scores = similarities(
                self._door.served.description.similarity or "cosine", done.vectors[0], done.vectors[1:]
            )
            return with_teis_headers(call, done, orjson.dumps(scores, option=orjson.OPT_SERIALIZE_NUMPY))

    async def tokenize(self, request: Request) -> Response:
        """Return the tokens of texts."""
        async with self._door.open(request) as call:
            body = parse(TokenizeRequest, call.body)
            texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
            found = await call.wanted(
                lambda: self._spelling.tokens(texts, special=body.add_special_tokens, prompt_name=body.prompt_name)
            )
            return Response(orjson.dumps(found), media_type="application/json")

    async def decode(self, request: Request) -> Response:
        """Return the texts of token ids."""
        async with self._door.open(request) as call:
            body = parse(DecodeRequest, call.body)
            many = [ids for ids in body.ids if isinstance(ids, list)]
            one = [token_id for token_id in body.ids if isinstance(token_id, int)]
            texts = await call.wanted(
                lambda: self._spelling.texts([one] if one else many, skip_special=body.skip_special_tokens)
            )
            return Response(orjson.dumps(texts), media_type="application/json")


def with_teis_headers(call: Call, done: Embedding, content: bytes) -> Response:
    """Return the answer with TEI's own headers, whole milliseconds, beside ours."""
    milliseconds = {
        "x-total-time": call.seconds,
        "x-compute-time": call.seconds,
        "x-tokenization-time": done.tokenization_seconds,
        "x-queue-time": done.queue_seconds,
        "x-inference-time": done.inference_seconds,
    }
    headers = {name: str(int(seconds * 1000)) for name, seconds in milliseconds.items()}
    return call.answer(content, done, {**headers, "x-compute-tokens": str(done.tokens)})
