"""Ranking texts by how well they fit a query: `/rerank` of text-embeddings-inference, and Cohere's routes."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedplane_server.embedding import Embedding
from embedplane_server.options import Options
from embedplane_server.ranking import Rank, ranked
from embedplane_server.refusals import EmptyInput
from embedplane_server.routes.door import Call, Door
from embedplane_server.routes.errors import InvalidRequest
from embedplane_server.routes.parsing import parse
from embedplane_server.routes.tei import with_teis_headers
from embedplane_server.schemas.ranking import CohereRanking, CohereRerankRequest, Document, RerankRequest
from embedplane_server.spelling import Spelling

COHERE_PATHS: Mapping[str, str] = {"/v1/rerank": "1", "/v2/rerank": "2", "/rerank": "2"}
"""Cohere's paths, and the one where others have its form; the version of the interface that each answers with."""


class Rerank:
    """The handlers and what they need."""

    def __init__(self, door: Door, spelling: Spelling) -> None:
        self._door = door
        self._spelling = spelling

    def routes(self) -> list[Route]:
        """Return the routes of this family."""
        return [
            Route("/rerank", self.rerank, methods=["POST"]),
            Route("/v1/rerank", self.cohere, methods=["POST"]),
            Route("/v2/rerank", self.cohere, methods=["POST"]),
        ]

    async def rerank(self, request: Request) -> Response:
        """Rank the texts of a request, or its documents in the form that Cohere has."""
        async with self._door.open(request) as call:
            body = parse(RerankRequest, call.body)
            if body.texts is not None:
                return await self._tei(call, body, body.texts)
            if body.documents is not None:
                return await self._cohere(call, request.url.path, body, body.documents)
            raise InvalidRequest("Missing required parameter: 'texts' (or 'documents', as Cohere has it).", "texts")

    async def cohere(self, request: Request) -> Response:
        """Rank the documents of a request."""
        async with self._door.open(request) as call:
            body = parse(CohereRerankRequest, call.body)
            return await self._cohere(call, request.url.path, body, body.documents)

    async def _tei(self, call: Call, body: RerankRequest, texts: Sequence[str]) -> Response:
        options = Options(truncate=body.truncate, cut_side=body.side)
        done, ranks = await self._ranked(call, body, texts, options, raw=body.raw_scores)
        answer = [
            {"index": rank.index, **({"text": texts[rank.index]} if body.return_text else {}), "score": rank.score}
            for rank in ranks
        ]
        return with_teis_headers(call, done, orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY))

    async def _cohere(
        self, call: Call, path: str, body: CohereRanking, documents: Sequence[str | Document]
    ) -> Response:
        texts = [document if isinstance(document, str) else document.text for document in documents]
        short = texts
        if (most := body.max_tokens_per_doc) is not None:
            short = await call.wanted(lambda: self._spelling.heads(texts, most))
        done, ranks = await self._ranked(call, body, short, Options(truncate=True))
        document = {
            "id": str(uuid4()),
            "model": body.model or self._door.served.names[0],
            "results": [_result(rank, texts[rank.index] if body.return_documents else None) for rank in ranks],
            "meta": {"api_version": {"version": COHERE_PATHS[path]}, "billed_units": {"search_units": 1}},
            "usage": {"prompt_tokens": done.tokens, "total_tokens": done.tokens},
        }
        return call.answer(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), done)

    async def _ranked(
        self, call: Call, body: CohereRanking, texts: Sequence[str], options: Options, *, raw: bool = False
    ) -> tuple[Embedding, list[Rank]]:
        if body.model is not None:
            self._door.check_name(body.model)
        if not body.query:
            raise EmptyInput("'query'")
        done = await call.score([(body.query, text) for text in texts], options)
        return done, ranked(call.scores(done, raw=raw)[:, 0], body.top_n)


def _result(rank: Rank, text: str | None) -> dict[str, Any]:
    document = {} if text is None else {"document": {"text": text}}
    return {"index": rank.index, "relevance_score": rank.score, **document}
