"""A path of one's own for OpenAI's embeddings, for clients and gateways whose path cannot be chosen.

The edge reads it as `/v1/embeddings`, instead of its being one more route: so it has that route's error bodies, metric
label and speed, whatever it is called.
"""

from collections.abc import Iterable

from starlette.routing import Route

from embedplane_server.errors import invalid_settings
from embedplane_server.routes.openai import EMBEDDINGS_PATHS


def default_paths(default_route: str) -> tuple[str, ...]:
    """Return the paths besides OpenAI's own: the given one, and it without /v1."""
    paths = (default_route, default_route.removeprefix("/v1"))
    return tuple(dict.fromkeys(path for path in paths if path.startswith("/") and path not in EMBEDDINGS_PATHS))


def check_free(paths: Iterable[str], routes: Iterable[Route]) -> None:
    """Refuse paths that mean something else on this server."""
    for path in paths:
        if any(route.path_regex.match(path) for route in routes):
            raise invalid_settings(
                f"EMBEDPLANE_DEFAULT_ROUTE (spec.serving.defaultRoute): {path} is another route of this server. "
                "Choose another path, or /v1/embeddings."
            )
