"""What every route that embeds or scores does around its own wire format: read, check, wait, measure, tell.

A route opens a `Call`, parses its body, has the inputs embedded and writes its answer; it knows neither headers nor
metrics.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar, cast

from starlette.requests import Request
from starlette.responses import Response

from embedplane_server.activation import activate
from embedplane_server.embedding import Embedder, Embedding
from embedplane_server.engines.base import Vectors
from embedplane_server.metrics import Metrics
from embedplane_server.options import Options
from embedplane_server.refusals import EmptyInput
from embedplane_server.routes.body import Bodies, while_wanted
from embedplane_server.routes.connection import Header, connection_of
from embedplane_server.routes.errors import InvalidRequest, UnknownModel, VectorSpaceMismatch
from embedplane_server.routes.traced import note_embedding
from embedplane_server.schemas.openai import Input
from embedplane_server.served import ServedModel
from embedplane_server.tokenization import Text
from embedplane_server.tracing.request_trace import TRACE

Result = TypeVar("Result")

VECTOR_SPACE_HEADER = "x-embedplane-vector-space"
TRUNCATED_HEADER = "x-embedplane-truncated"
TIMEOUT_HEADER = "x-embedplane-timeout-ms"


@dataclass(frozen=True, slots=True)
class Door:
    """What the routes of all families share."""

    served: ServedModel
    embedder: Embedder
    metrics: Metrics
    bodies: Bodies
    max_seconds: float

    def tell(self, done: Embedding, seconds: float) -> list[Header]:
        """Count what an answer took, and return the headers that tell it; `seconds` are the whole request's."""
        metrics = self.metrics
        metrics.request_seconds.observe(seconds)
        metrics.tokenization_seconds.observe(done.tokenization_seconds)
        metrics.queue_seconds.observe(done.queue_seconds)
        metrics.inference_seconds.observe(done.inference_seconds)
        headers = [
            (b"x-embedplane-tokens", b"%d" % done.tokens),
            (b"x-embedplane-tokenization-ms", b"%.2f" % (done.tokenization_seconds * 1000)),
            (b"x-embedplane-queue-ms", b"%.2f" % (done.queue_seconds * 1000)),
            (b"x-embedplane-inference-ms", b"%.2f" % (done.inference_seconds * 1000)),
            (b"x-embedplane-total-ms", b"%.2f" % (seconds * 1000)),
        ]
        if done.truncated:
            headers.append((TRUNCATED_HEADER.encode("ascii"), b"%d" % done.truncated))
        matryoshka = self.embedder.policy.matryoshka
        # Tokens have vectors before anything is cut to a length.
        dimensions = matryoshka.native if done.every_token else done.vectors.shape[1]
        if dimensions != matryoshka.default:
            headers.append((VECTOR_SPACE_HEADER.encode("ascii"), matryoshka.space_name(dimensions).encode("ascii")))
        return headers

    def open(self, request: Request) -> "Call":
        """Serve a request as long as the block lasts that is entered with this."""
        return Call(self, request)

    def check_name(self, name: str) -> None:
        """Refuse a model that is not served here."""
        if name not in self.served.names:
            raise UnknownModel(
                f"The model `{name}` does not exist or you do not have access to it. "
                f"This server serves: {', '.join(self.served.names)}.",
                "model",
            )


class Call:
    """One request to embed or to score something. Where its block begins its body has been read, but not checked."""

    def __init__(self, door: Door, request: Request) -> None:
        self.body = b""
        self._door = door
        self._request = request
        self._headers = dict(reversed(request.scope["headers"]))
        self._started = time.perf_counter()

    async def __aenter__(self) -> Self:
        self.body = await self._door.bodies.read(self._request.receive)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._door.bodies.release(self.body)

    def header(self, name: str) -> str | None:
        """Return a header of the request, the first one of this name."""
        value: bytes | None = self._headers.get(name.encode("ascii"))
        return None if value is None else value.decode("latin-1")

    async def embed(self, inputs: Input, options: Options) -> Embedding:
        """Embed inputs of any form, while the client waits for them."""
        many = not isinstance(inputs, str) and not (inputs and isinstance(inputs[0], int))
        count = len(inputs) if many else 1
        return await self._measured(lambda: self._embed(inputs, options), count, options, many=many)

    async def score(self, texts: Sequence[Text], options: Options, *, many: bool = True) -> Embedding:
        """Return the logits of texts and pairs of texts; `many` tells whether they came as a list."""
        embedder = self._door.embedder
        return await self._measured(lambda: embedder.embed_texts(texts, options), len(texts), options, many=many)

    def scores(self, done: Embedding, *, raw: bool = False) -> Vectors:
        """Return what the model makes of logits, of shape `[inputs, labels]`."""
        activation = self._door.served.description.activation
        return done.vectors if raw or activation is None else activate(activation, done.vectors)

    async def _measured(
        self, work: Callable[[], Awaitable[Embedding]], inputs: int, options: Options, *, many: bool
    ) -> Embedding:
        self._check_space(options)
        self._door.metrics.tei.asked(inputs, batch=many)
        begun = time.time_ns()
        done = await self.wanted(work)
        if (trace := self._request.scope.get(TRACE)) is not None:
            note_embedding(trace, done, begun)
        self._door.metrics.tei.answered(done.lengths, batch=many)
        return done

    async def wanted(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Cancel work when nobody waits for it any more, or the time is up that the client or we give it."""
        seconds = self._door.max_seconds
        if (asked := self.header(TIMEOUT_HEADER)) is not None:
            seconds = min(seconds, _milliseconds(asked) / 1000)
        return await while_wanted(work, connection_of(self._request.scope), seconds, self.seconds)

    def answer(self, content: bytes, done: Embedding, extra: Mapping[str, str] | None = None) -> Response:
        """Return the answer, with what it took in its headers and in the metrics."""
        response = Response(content, headers=extra, media_type="application/json")
        response.raw_headers += self._door.tell(done, self.seconds)
        return response

    @property
    def seconds(self) -> float:
        """How long the request has been served so far."""
        return time.perf_counter() - self._started

    async def _embed(self, inputs: Input, options: Options) -> Embedding:
        embedder = self._door.embedder
        if isinstance(inputs, str):
            return await embedder.embed_texts([inputs], options)
        if not inputs:
            raise EmptyInput
        if isinstance(inputs[0], str):
            return await embedder.embed_texts(inputs, options)
        if isinstance(inputs[0], int):
            return await embedder.embed_tokens([inputs], options)
        return await embedder.embed_tokens(cast("Sequence[Sequence[int]]", inputs), options)

    def _check_space(self, options: Options) -> None:
        pinned = self.header(VECTOR_SPACE_HEADER)
        if pinned is None:
            return
        matryoshka = self._door.embedder.policy.matryoshka
        dimensions = matryoshka.native if options.every_token else matryoshka.choose(options.dimensions)
        if not matryoshka.is_space(pinned, dimensions):
            raise VectorSpaceMismatch(
                f"The request pins the vector space {pinned}, but its vectors would be of "
                f"{matryoshka.space_name(dimensions)}. Vectors of two spaces cannot be compared: embed the documents "
                "again, or ask for the model and the dimensions that they were made with."
            )


def _milliseconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise InvalidRequest(
            f"Invalid value for the header '{TIMEOUT_HEADER}': {text[:20]!r}. Send whole milliseconds, at least 1."
        )
    return int(text)
