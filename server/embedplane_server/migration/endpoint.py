"""A served model as its clients see it: `/info` and OpenAI's `/v1/embeddings`, held to one vector space.

Every request carries the space that was found first, so vectors of another can never be mixed in: the server answers
412 instead. 429, 503 and lost connections are waited out, for as long as the server says.
"""

import asyncio
import base64
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

import httpx2
import numpy as np

from embedplane_server.engines.base import Vectors
from embedplane_server.errors import (
    PermanentError,
    PermanentReason,
    StepError,
    TransientError,
    TransientReason,
    invalid_settings,
)

SPACE_HEADER = "x-embedplane-vector-space"
LATER = frozenset({408, 429, 500, 502, 503, 504})
"""What servers answer when the same request may well succeed a little later."""
LONGEST_WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """What an endpoint says of itself."""

    model: str
    space: str
    similarity: str
    max_inputs: int
    max_tokens: int
    """So many tokens of one request are sure to fit."""

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Self:
        """Read the answer of `/info`."""
        return cls(
            model=info["model"],
            space=info["vector_space"],
            similarity=info["similarity"] or "cosine",
            max_inputs=int(info["max_inputs"]),
            max_tokens=min(int(info["max_request_tokens"]), int(info["max_queued_tokens"])),
        )


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of some texts, and the tokens that they had."""

    vectors: Vectors
    tokens: int


class Endpoint:
    """One served model. `patience`: seconds for which it may be away or busy before the work is given up."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        patience: float = 600.0,
        waited: Callable[[str], None] = lambda _: None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self.url = url.rstrip("/").removesuffix("/v1")
        self._http = httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=330, transport=transport)
        self._patience = patience
        self._waited = waited

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def served(self) -> Served:
        """Return what is served now."""
        answer = await self._answer("GET", "/info")
        try:
            return Served.of(answer.json())
        except (ValueError, KeyError, TypeError) as error:
            raise invalid_settings(
                f"{self.url}/info is not the answer of an Embedplane server that embeds. Check the address."
            ) from error

    async def embed(self, texts: Sequence[str], space: str, input_type: str, *, truncate: bool) -> Embedded:
        """Return the vectors of texts, shape `[len(texts), dimensions]`, of this space only."""
        body: dict[str, Any] = {"model": "model", "input": list(texts), "encoding_format": "base64"}
        body |= {"input_type": input_type, **({"truncate": True} if truncate else {})}
        answer = (await self._answer("POST", "/v1/embeddings", json=body, headers={SPACE_HEADER: space})).json()
        rows = [np.frombuffer(base64.b64decode(each["embedding"]), dtype="<f4") for each in answer["data"]]
        return Embedded(np.stack(rows), int(answer["usage"]["total_tokens"]))

    async def _answer(self, method: str, path: str, **request: Any) -> httpx2.Response:  # noqa: ANN401 -- httpx's own
        begun = time.monotonic()
        attempt = 0
        while True:
            seconds, why = _backoff(attempt), ""
            try:
                answer = await self._http.request(method, path, **request)
            except httpx2.TransportError as error:
                why = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code not in LATER:
                    return self._checked(answer)
                seconds, why = _retry_after(answer, seconds), f"{answer.status_code}: {_message(answer)}"
            if time.monotonic() - begun + seconds > self._patience:
                raise TransientError(
                    TransientReason.ENDPOINT_UNAVAILABLE,
                    f"{self.url}{path} gave no answer for {self._patience:.0f} s ({why}). "
                    "What is done is kept; run the command again to go on.",
                )
            self._waited(why)
            await asyncio.sleep(seconds)
            attempt += 1

    def _checked(self, answer: httpx2.Response) -> httpx2.Response:
        if answer.is_success:
            return answer
        raise self._refusal(answer)

    def _refusal(self, answer: httpx2.Response) -> StepError:
        words = f"{answer.request.url} answered {answer.status_code}: {_message(answer)}"
        if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return PermanentError(PermanentReason.ACCESS_DENIED, f"{words}. Give a key: --api-key-file.")
        if answer.status_code == HTTPStatus.PRECONDITION_FAILED:
            words += ". It serves another vector space than when this began: its vectors are not mixed with those."
        return PermanentError(PermanentReason.INVALID_SETTINGS, words)


def _backoff(attempt: int) -> float:
    """Return seconds to wait: doubled each time, with jitter, so that many clients do not come back at once."""
    return float(min(LONGEST_WAIT_SECONDS, 0.25 * 2**attempt)) * random.uniform(0.5, 1.0)  # noqa: S311 -- jitter, no secret


def _retry_after(answer: httpx2.Response, otherwise: float) -> float:
    """Return what the server asks for; `retry-after-ms` is the finer one of the two."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return min(LONGEST_WAIT_SECONDS, max(0.0, float(answer.headers[name]) / unit))
        except (KeyError, ValueError):
            continue
    return otherwise


def _message(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200] or answer.reason_phrase
