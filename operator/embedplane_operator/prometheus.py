"""The only module that talks to Prometheus: instant queries in, samples out, failures as `MetricsUnavailableError`.

It knows nothing of models or tokens; `autoscale/demand.py` writes the queries and reads the samples. Files (CA, bearer
token) are read at each batch, because both are rotated under a running process.
"""

import asyncio
import json
import math
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from embedplane_operator.errors import EmbedplaneError

MESSAGE_LIMIT = 300
REMEDIES = {
    400: "Prometheus rejected the query: check prometheus.matchers and prometheus.labels in the operator's settings.",
    401: "Set prometheus.bearerTokenFile or an Authorization header in prometheus.headers.",
    403: "The token of prometheus.bearerTokenFile may not query: grant it read access to the metrics.",
    404: "prometheus.url is the address before /api/v1, for example http://prometheus.monitoring:9090.",
    422: "Prometheus could not execute the query: its own log says why.",
}
OVERLOADED = "Prometheus is starting or overloaded; it is asked again at every tick."
UNREACHABLE = "Check prometheus.url, and that DNS and NetworkPolicies let the operator reach it."


class MetricsUnavailableError(EmbedplaneError):
    """Prometheus gave no complete answer. The message names the URL, what happened and what to do."""


@dataclass(frozen=True)
class Endpoint:
    """Where Prometheus, or what speaks its HTTP API (Thanos, Mimir, VictoriaMetrics), is found."""

    url: str
    ca_file: Path | None = None
    bearer_token_file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 10.0

    @property
    def shown(self) -> str:
        """The URL without credentials."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


@dataclass(frozen=True)
class Sample:
    """One element of an instant vector."""

    labels: Mapping[str, str]
    value: float


class Prometheus:
    """Asks one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def query(self, promql: str) -> list[Sample]:
        """Return the instant vector of one expression; samples that are not a number are left out."""
        return (await self.query_all({"": promql}))[""]

    async def query_all(self, promql: Mapping[str, str]) -> dict[str, list[Sample]]:
        """Return the instant vectors of several named expressions, all or none."""
        timeout = aiohttp.ClientTimeout(total=self._endpoint.timeout_seconds)
        tls, headers = self._tls(), self._headers()
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            tasks = [asyncio.ensure_future(self._ask(session, tls, text)) for text in promql.values()]
            try:
                answers = await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return dict(zip(promql, answers, strict=True))

    async def _ask(self, session: aiohttp.ClientSession, tls: ssl.SSLContext | bool, promql: str) -> list[Sample]:
        url = self._endpoint.url.rstrip("/") + "/api/v1/query"
        try:
            # GET, because proxies in front of Prometheus often allow nothing else to a reader.
            async with session.get(url, params={"query": promql}, ssl=tls) as response:
                status, body = response.status, await response.text(errors="replace")
        except aiohttp.ClientConnectorCertificateError as error:
            raise self._failure(f"has a certificate that does not verify ({error.certificate_error})", _CA) from error
        except TimeoutError as error:
            seconds = f"{self._endpoint.timeout_seconds:g}"
            raise self._failure(f"did not answer within {seconds} s", UNREACHABLE) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._failure(f"could not be asked ({error or type(error).__name__})", UNREACHABLE) from error
        return self._samples(status, body)

    def _samples(self, status: int, body: str) -> list[Sample]:
        """Read an answer of the HTTP API; a partial one counts as none."""
        answer = _json_object(body)
        if status != 200 or answer.get("status") != "success":
            said = answer.get("error") or " ".join(body.split()) or "nothing"
            remedy = OVERLOADED if status >= 500 or status == 429 else REMEDIES.get(status, UNREACHABLE)
            raise self._failure(f"answered {status}: {_cut(str(said))}", remedy)
        if warnings := answer.get("warnings"):
            said = _cut("; ".join(map(str, warnings)))
            raise self._failure(f"answered with warnings: {said}", "A partial answer is not used; repair its sources.")
        try:
            samples = [Sample(dict(each["metric"]), float(each["value"][1])) for each in answer["data"]["result"]]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise self._failure("answered something that is not an instant vector", REMEDIES[404]) from error
        return [sample for sample in samples if math.isfinite(sample.value)]

    def _headers(self) -> dict[str, str]:
        headers = dict(self._endpoint.headers)
        if path := self._endpoint.bearer_token_file:
            try:
                headers["Authorization"] = f"Bearer {path.read_text().strip()}"
            except (OSError, UnicodeDecodeError) as error:
                remedy = "Mount the Secret or correct prometheus.bearerTokenFile."
                raise self._failure(f"was not asked: the token file cannot be read ({error})", remedy) from error
        return headers

    def _tls(self) -> ssl.SSLContext | bool:
        if not self._endpoint.ca_file:
            return True
        try:
            return ssl.create_default_context(cafile=self._endpoint.ca_file)
        except OSError as error:
            raise self._failure(f"was not asked: {self._endpoint.ca_file} is no CA file ({error})", _CA) from error

    def _failure(self, what: str, remedy: str) -> MetricsUnavailableError:
        return MetricsUnavailableError(f"Prometheus at {self._endpoint.shown} {what}. {remedy}")


_CA = "Put the PEM certificates of its CA into prometheus.caFile."


def _json_object(body: str) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _cut(text: str) -> str:
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 3] + "..."
