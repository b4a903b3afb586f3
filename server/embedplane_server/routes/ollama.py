"""Ollama's routes for embeddings: `/api/embed`, and what its clients ask before: `/api/tags`, `/api/version`."""

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedplane_server import __version__
from embedplane_server.options import Options
from embedplane_server.routes.door import Door
from embedplane_server.routes.parsing import parse
from embedplane_server.schemas.ollama import OllamaDetails, OllamaEmbedRequest, OllamaModel, OllamaTags, OllamaVersion
from embedplane_server.schemas.vectors import vectors_json

LATEST = ":latest"
"""Ollama's clients add this tag to names without one."""


class Ollama:
    """The handlers and what they need."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> list[Route]:
        """Return the routes of this family."""
        return [
            Route("/api/embed", self.embed, methods=["POST"]),
            Route("/api/tags", self.tags, methods=["GET"]),
            Route("/api/version", self.version, methods=["GET"]),
        ]

    async def embed(self, request: Request) -> Response:
        """Embed one text or several."""
        async with self._door.open(request) as call:
            body = parse(OllamaEmbedRequest, call.body)
            self._door.check_name(body.model.removesuffix(LATEST))
            done = await call.embed(body.input, Options(truncate=body.truncate, dimensions=body.dimensions))
            document = {
                "model": body.model,
                "embeddings": orjson.Fragment(await vectors_json(done.vectors)),
                "total_duration": int(call.seconds * 1e9),
                "load_duration": 0,
                "prompt_eval_count": done.tokens,
            }
            return call.answer(orjson.dumps(document), done)

    async def tags(self, _: Request) -> Response:
        """List the served names as Ollama lists its models."""
        served = self._door.served
        details = OllamaDetails(
            format=served.manifest.backend,
            family=served.description.architecture,
            families=[served.description.architecture],
            parameter_size="",
            quantization_level=served.manifest.precision,
        )
        models = [
            OllamaModel(
                name=name,
                model=name,
                modified_at=served.manifest.built_at.isoformat(),
                size=0,
                digest=served.manifest.digest,
                details=details,
            )
            for name in served.names
        ]
        return Response(orjson.dumps(OllamaTags(models=models).model_dump()), media_type="application/json")

    async def version(self, _: Request) -> Response:
        """Return the version of this server."""
        document = OllamaVersion(version=__version__)
        return Response(orjson.dumps(document.model_dump()), media_type="application/json")
