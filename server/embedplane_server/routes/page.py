"""`/`: the served model for people, with examples and a box to try it. `page.html` is all of it.

It is one page for models of all kinds: parts of it stand there or not.

Filled once, at start; a request only puts its own host into the examples. Where the server has keys, a request without
one gets the page without the facts, as `/info` would tell them to nobody either.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedplane_server import __version__
from embedplane_server.builders.manifest import EngineManifest
from embedplane_server.keys import ApiKeys
from embedplane_server.model.description import Kind
from embedplane_server.routes.authorization import authorize, sends_key
from embedplane_server.routes.operations import operations_for
from embedplane_server.routes.page_values import page_values
from embedplane_server.schemas.info import Info

HOST = re.compile(r"[A-Za-z0-9._\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")
UNKNOWN_HOST = "localhost:8080"
URL = b"{{url}}"
SECTION = re.compile(r"\{\{#(\w+)\}\}\n(.*?)\{\{/\1\}\}\n", re.DOTALL)
VALUE = re.compile(r"\{\{(?!url)(\w+)\}\}")


def page_routes(info: Info, manifest: EngineManifest, keys: ApiKeys | None, further: Sequence[str] = ()) -> list[Route]:
    """Return /; `further` are paths that embed as `/v1/embeddings` does."""
    kind = manifest.description.kind
    template = files("embedplane_server.routes").joinpath("page.html").read_text(encoding="utf-8")
    headers = _headers(template)
    facts = page_values(info, manifest, operations_for(kind, further), has_keys=keys is not None)
    sections = {"open": True, "prompts": bool(info.prompts), "links": keys is None, **_parts(kind)}
    open_page = _fill(template, facts, sections)
    locked_page = _fill(template, {"title": "Embedplane", "version": __version__}, {"locked": True})

    async def page(request: Request) -> Response:
        document = open_page
        if keys is not None and not sends_key(request.scope["headers"]):
            document = locked_page
        elif keys is not None:
            authorize(keys, request.scope["headers"])
        return Response(document.replace(URL, _url(request).encode("ascii")), headers=headers, media_type="text/html")

    return [Route("/", page, methods=["GET"])]


def _parts(kind: Kind) -> dict[str, bool]:
    """Return which parts of the page a model of this kind has."""
    return {
        "embeds": kind == "embedding",
        "scores": kind != "embedding",
        "query": kind != "classifier",
        "labels": kind == "classifier",
    }


def _url(request: Request) -> str:
    """Return how this client calls the server; the page itself corrects it behind a proxy."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host if HOST.fullmatch(host) else UNKNOWN_HOST}"


def _headers(template: str) -> dict[str, str]:
    policy = {
        "default-src": "'none'",
        "script-src": _hash(template, "script"),
        "style-src": _hash(template, "style"),
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }


def _hash(template: str, tag: str) -> str:
    """Return what allows the one element of this kind and no other."""
    content = template.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def _fill(template: str, values: Mapping[str, str], sections: Mapping[str, bool]) -> bytes:
    """Keep these sections of the template and drop the others, then put in the values (HTML), except the URL."""

    def section(found: re.Match[str]) -> str:
        return SECTION.sub(section, found[2]) if sections.get(found[1]) else ""

    return VALUE.sub(lambda found: values[found[1]], SECTION.sub(section, template)).encode()
