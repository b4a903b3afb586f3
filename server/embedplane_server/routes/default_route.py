"""Paths that are read as others: one's own for OpenAI's embeddings, where a client's or a gateway's cannot be chosen.

The edge reads it as `/v1/embeddings`, instead of its being one more route: so it has that route's error bodies, metric
label and speed, whatever it is called. Likewise a path with a slash at its end is read as without it. A redirect would
have the client send its key and its body once more, to a URL that is wrong behind a proxy that ends TLS.
"""

from collections.abc import Iterable

from starlette.routing import Route

from embedplane_server.errors import invalid_settings
from embedplane_server.routes.openai import EMBEDDINGS_PATH, EMBEDDINGS_PATHS


def default_paths(default_route: str) -> tuple[str, ...]:
    """Return the paths besides OpenAI's own: the given one, and it without /v1."""
    paths = (default_route, default_route.removeprefix("/v1"))
    return tuple(dict.fromkeys(path for path in paths if path.startswith("/") and path not in EMBEDDINGS_PATHS))


def read_as(default_route: str, known: Iterable[str]) -> dict[str, str]:
    """Return what paths are read as: those of the default route, and these and the known ones with a slash more."""
    own = dict.fromkeys(default_paths(default_route), EMBEDDINGS_PATH)
    meant = {**{path: path for path in known if path != "/"}, **own}
    return {**own, **{f"{path}/": route for path, route in meant.items()}}


def check_free(paths: Iterable[str], routes: Iterable[Route]) -> None:
    """Refuse paths that mean something else on this server."""
    for path in paths:
        if any(route.path_regex.match(path) for route in routes):
            raise invalid_settings(
                f"EMBEDPLANE_DEFAULT_ROUTE (spec.serving.defaultRoute): {path} is another route of this server. "
                "Choose another path, or /v1/embeddings."
            )
