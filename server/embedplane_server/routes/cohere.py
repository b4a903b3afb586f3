"""Cohere's route for embeddings, `/v2/embed`."""

from collections.abc import Callable, Mapping, Sequence
from uuid import uuid4

import numpy as np
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedplane_server.embedding import Embedding
from embedplane_server.engines.base import Vectors
from embedplane_server.options import Options
from embedplane_server.routes.door import Door
from embedplane_server.routes.errors import InvalidRequest
from embedplane_server.routes.parsing import parse
from embedplane_server.schemas.cohere import CohereEmbedRequest
from embedplane_server.schemas.openai import as_base64
from embedplane_server.schemas.truncate import cut
from embedplane_server.schemas.vectors import vectors_json


def _binary(vectors: Vectors) -> object:
    return (np.packbits(vectors > 0, axis=-1).astype(np.int16) - 128).astype(np.int8)


FLOAT = "float"
FORMS: Mapping[str, Callable[[Vectors], object]] = {
    "base64": as_base64,
    "binary": _binary,
    "ubinary": lambda vectors: np.packbits(vectors > 0, axis=-1),
}
"""The other forms that are exact by definition; int8 and uint8 need the ranges of a calibration."""


class Cohere:
    """The handler and what it needs."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> list[Route]:
        """Return the routes of this family."""
        return [Route("/v2/embed", self.embed, methods=["POST"])]

    async def embed(self, request: Request) -> Response:
        """Embed texts, and write the vectors in each of the forms that were asked for."""
        async with self._door.open(request) as call:
            body = parse(CohereEmbedRequest, call.body)
            texts = self._checked(body)
            truncate, side = cut(body.truncate)
            options = Options(
                input_type=body.input_type, truncate=truncate, cut_side=side, dimensions=body.output_dimension
            )
            done = await call.embed(texts, options)
            return call.answer(await _content(texts, body.embedding_types, done), done)

    def _checked(self, body: CohereEmbedRequest) -> list[str]:
        if body.model is not None:
            self._door.check_name(body.model)
        for field in ("images", "inputs", "max_tokens"):
            if getattr(body, field) is not None:
                raise InvalidRequest(f"'{field}' is not offered here. Send texts in 'texts'.", field)
        if unknown := [name for name in body.embedding_types if name != FLOAT and name not in FORMS]:
            raise InvalidRequest(
                f"The embedding type {unknown[0]} needs a calibration, which this model has not. "
                f"Offered are {', '.join((FLOAT, *FORMS))}.",
                "embedding_types",
            )
        return body.texts


async def _content(texts: Sequence[str], names: Sequence[str], done: Embedding) -> bytes:
    forms = {name: FORMS[name](done.vectors) for name in names if name != FLOAT}
    if FLOAT in names:
        forms[FLOAT] = orjson.Fragment(await vectors_json(done.vectors))
    document = {
        "id": str(uuid4()),
        "embeddings": forms,
        "texts": texts,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": done.tokens}},
        "response_type": "embeddings_by_type",
    }
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
