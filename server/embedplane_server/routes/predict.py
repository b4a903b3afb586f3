"""Classes of texts, and of pairs of texts: `/predict` of text-embeddings-inference."""

from collections.abc import Sequence

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from embedplane_server.engines.base import Vectors
from embedplane_server.options import Options
from embedplane_server.ranking import ranked
from embedplane_server.routes.door import Door
from embedplane_server.routes.parsing import parse
from embedplane_server.routes.tei import with_teis_headers
from embedplane_server.schemas.tei import PredictInputs, PredictRequest
from embedplane_server.tokenization import Text


class Predict:
    """The handler and what it needs."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> list[Route]:
        """Return the routes of this family."""
        return [Route("/predict", self.predict, methods=["POST"])]

    async def predict(self, request: Request) -> Response:
        """Say how well each label fits, for one input or for several."""
        async with self._door.open(request) as call:
            body = parse(PredictRequest, call.body)
            texts, many = texts_of(body.inputs)
            done = await call.score(texts, Options(truncate=body.truncate, cut_side=body.side), many=many)
            scores = call.scores(done, raw=body.raw_scores)
            found = [_predictions(self._door.served.description.labels, row) for row in scores]
            content = orjson.dumps(found if many else found[0], option=orjson.OPT_SERIALIZE_NUMPY)
            return with_teis_headers(call, done, content)


def texts_of(inputs: PredictInputs) -> tuple[list[Text], bool]:
    """Return the inputs of a request, and whether it has several: two strings are one input, a pair."""
    if isinstance(inputs, str):
        return [inputs], False
    alone = [text for text in inputs if isinstance(text, str)]
    if alone:
        return [_text(alone)], False
    return [_text(texts) for texts in inputs if not isinstance(texts, str)], True


def _text(texts: Sequence[str]) -> Text:
    return texts[0] if len(texts) == 1 else (texts[0], texts[1])


def _predictions(labels: Sequence[str], scores: Vectors) -> list[dict[str, object]]:
    return [{"score": rank.score, "label": labels[rank.index]} for rank in ranked(scores)]
