"""Which routes a model has: those for models of its kind. The others say so instead of answering.

Routes that are not named here, such as `/info` and `/tokenize`, are for models of every kind.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedplane_server.model.description import Kind
from embedplane_server.routes.errors import NotOffered

NOBODY: frozenset[Kind] = frozenset()
EMBEDDING: frozenset[Kind] = frozenset({"embedding"})
RERANKER: frozenset[Kind] = frozenset({"reranker"})
CLASSIFYING: frozenset[Kind] = frozenset({"reranker", "classifier"})

OFFERED: Mapping[str, frozenset[Kind]] = {
    "/v1/embeddings": EMBEDDING,
    "/embeddings": EMBEDDING,
    "/embed": EMBEDDING,
    "/similarity": EMBEDDING,
    "/v2/embed": EMBEDDING,
    "/api/embed": EMBEDDING,
    "/embed_all": EMBEDDING,
    "/embed_sparse": NOBODY,
    "/rerank": RERANKER,
    "/v1/rerank": RERANKER,
    "/v2/rerank": RERANKER,
    "/predict": CLASSIFYING,
}
"""The kinds of models that each route is for."""

SERVED: Mapping[Kind, str] = {
    "embedding": "is an embedding model, which gives one dense vector for each text. Use /v1/embeddings or /embed",
    "reranker": "is a reranker, which scores how well texts fit a query. Use /rerank, /v2/rerank or /predict",
    "classifier": "is a classifier, which scores labels for each text or pair of texts. Use /predict",
}


def is_offered(path: str, kind: Kind) -> bool:
    """Tell whether models of a kind have a route."""
    return path not in OFFERED or kind in OFFERED[path]


def offered(routes: Sequence[Route], kind: Kind) -> list[Route]:
    """Return all routes; those that models of this kind do not have refuse every request."""

    async def refuse(request: Request) -> Response:
        raise NotOffered(f"{request.url.path} is not offered here: the model served {SERVED[kind]}.")

    known = {route.path for route in routes}
    missing = [Route(path, refuse, methods=["POST"]) for path in OFFERED if path not in known]
    return [
        *(route if is_offered(route.path, kind) else _like(route, refuse) for route in routes),
        *missing,
    ]


def _like(route: Route, refuse: Callable[[Request], Awaitable[Response]]) -> Route:
    return Route(route.path, refuse, methods=sorted(route.methods or ()))
