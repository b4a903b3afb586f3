"""The only module that talks to the API server, and the only importer of the Kubernetes client.

Objects go in and come out as plain dicts: the typed classes cost CPU and lose what they do not know. Every call has a
timeout, and every failure leaves as one of `errors.py`. What to do about it is decided by the caller.
"""

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.config.config_exception import ConfigException

from embedplane_operator.errors import (
    AlreadyExistsError,
    ClusterError,
    ClusterUnavailableError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    Refusal,
    RejectedError,
)
from embedplane_operator.kinds import DEPLOYMENT, RESOURCES, SECRET, Manifest, Resource

FIELD_MANAGER = "embedplane"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
UNAVAILABLE_STATUSES = frozenset({401, 408, 410, 429})
MESSAGE_LIMIT = 600


@dataclass(frozen=True)
class Request:
    """One call to the API server."""

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Manifest | None = None
    content_type: str = "application/json"
    accept: str = "application/json"
    timeout: float | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Calls:
    """Receives verb, HTTP status (0: no answer) and seconds of every call; `metrics.py` counts them."""

    def __init__(self, observe: Callable[[str, int, float], None] = lambda _verb, _status, _seconds: None) -> None:
        self.observe = observe


class Cluster:
    """The API server's verbs, for any kind, with our field manager and our errors."""

    def __init__(self, api_client: client.ApiClient, calls: Calls | None = None, timeout: float = 10.0) -> None:
        self._client = api_client
        self._calls = calls or Calls()
        self._timeout = timeout

    async def get(self, resource: Resource, namespace: str, name: str, within: float | None = None) -> Manifest | None:
        """Returns the object, or None when it does not exist."""
        try:
            return await self._send("get", Request("GET", resource.path(namespace, name), timeout=within))
        except NotFoundError:
            return None

    async def list(
        self, resource: Resource, namespace: str | None, labels: str = "", fields: str = ""
    ) -> tuple[Manifest, ...]:
        """Returns the objects that match both selectors; of all namespaces when `namespace` is None."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        request = Request("GET", resource.path(namespace), {name: value for name, value in query.items() if value})
        answer = await self._send("list", request)
        # items of a list carry neither kind nor apiVersion
        return tuple(
            {**item, "kind": resource.kind, "apiVersion": resource.api_version} for item in answer.get("items") or ()
        )

    async def apply(
        self, manifest: Manifest, *, manager: str = FIELD_MANAGER, subresource: str | None = None, dry_run: bool = False
    ) -> Manifest:
        """Applies a manifest server-side: creates it, or makes the fields it names what it says."""
        metadata = manifest["metadata"]
        path = RESOURCES[manifest["kind"]].path(metadata["namespace"], metadata["name"], subresource)
        query = {"fieldManager": manager, "force": "true", **({"dryRun": "All"} if dry_run else {})}
        return await self._send("apply", Request("PATCH", path, query, manifest, APPLY_PATCH))

    async def create(self, manifest: Manifest, within: float | None = None) -> Manifest:
        """Creates an object; AlreadyExistsError when one of that name is there."""
        path = RESOURCES[manifest["kind"]].path(manifest["metadata"]["namespace"])
        query = {"fieldManager": FIELD_MANAGER}
        return await self._send("create", Request("POST", path, query, manifest, timeout=within))

    async def merge(
        self, resource: Resource, namespace: str, name: str, patch: Manifest, within: float | None = None
    ) -> Manifest:
        """Patches an object; a `metadata.resourceVersion` in the patch makes it optimistic."""
        path, query = resource.path(namespace, name), {"fieldManager": FIELD_MANAGER}
        return await self._send("patch", Request("PATCH", path, query, patch, MERGE_PATCH, timeout=within))

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Deletes this very object and, in the background, what it owns; no error when it is gone."""
        body: Manifest = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._send("delete", Request("DELETE", resource.path(namespace, name), body=body))
        except NotFoundError:
            return

    async def scale(self, namespace: str, deployment: str, replicas: int, *, manager: str) -> None:
        """Sets a Deployment's replicas through `/scale`, taking the field over from any other manager."""
        await self._send(
            "scale",
            Request(
                "PATCH",
                DEPLOYMENT.path(namespace, deployment, "scale"),
                {"fieldManager": manager, "force": "true"},
                {
                    "apiVersion": "autoscaling/v1",
                    "kind": "Scale",
                    "metadata": {"name": deployment, "namespace": namespace},
                    "spec": {"replicas": replicas},
                },
                APPLY_PATCH,
            ),
        )

    async def secret_version(self, namespace: str, name: str) -> str | None:
        """Returns a Secret's resourceVersion without reading its content; None when it does not exist."""
        try:
            found = await self._send("get", Request("GET", SECRET.path(namespace, name), accept=METADATA_ONLY))
        except NotFoundError:
            return None
        return str(found["metadata"]["resourceVersion"])

    async def _send(self, verb: str, request: Request) -> Manifest:
        began, status = time.monotonic(), 0
        try:
            status, headers, body = await self._exchange(request)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            words = f"no answer from the API server ({type(error).__name__}: {error})"
            raise ClusterUnavailableError(str(request), Refusal(0, "NoAnswer", words)) from error
        finally:
            self._calls.observe(verb, status, time.monotonic() - began)
        if not 200 <= status <= 299:
            raise translate(str(request), status, headers, body)
        answer: Manifest = json.loads(body)
        return answer

    async def _exchange(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        method, url, headers, body, _ = await self._client.param_serialize(
            request.method,
            request.path + ("?" + urlencode(request.query) if request.query else ""),
            header_params={"Accept": request.accept, "Content-Type": request.content_type},
            body=request.body,
            auth_settings=["BearerToken"],
        )
        within = request.timeout or self._timeout
        response = await self._client.call_api(method, url, headers, body, _request_timeout=within)
        return response.status, response.headers, await response.read()


def translate(call: str, status: int, headers: Mapping[str, str], body: bytes) -> ClusterError:
    """Turns an answer that is not a success into the error that says what to do about it."""
    refusal = _refusal(status, headers, body)
    if status == 404:
        return NotFoundError(call, refusal)
    if status == 409:
        return (AlreadyExistsError if refusal.reason == "AlreadyExists" else ConflictError)(call, refusal)
    if status == 403:
        return ForbiddenError(call, refusal)
    # A body that does not fit the schema gets 500 from server-side apply; asking again would not help.
    if "failed to create typed patch object" in refusal.message:
        return RejectedError(call, refusal)
    if status >= 500 or status in UNAVAILABLE_STATUSES:
        return ClusterUnavailableError(call, refusal)
    return RejectedError(call, refusal)


def _refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    try:
        said = json.loads(body)
    except ValueError:
        said = {}
    if not isinstance(said, dict):
        said = {}
    causes = (said.get("details") or {}).get("causes") or []
    wait = headers.get("Retry-After", "")
    return Refusal(
        status=status,
        reason=str(said.get("reason") or f"Http{status}"),
        message=_shorten(str(said.get("message") or f"HTTP {status}: {body[:200].decode(errors='replace')}")),
        fields=tuple(str(cause["field"]) for cause in causes if cause.get("field")),
        retry_after=float(wait) if wait.isdigit() else None,
    )


def _shorten(message: str) -> str:
    """Cuts messages that dump a whole pod template."""
    return message if len(message) <= MESSAGE_LIMIT else message[:MESSAGE_LIMIT] + " [...]"


@asynccontextmanager
async def connect(calls: Calls) -> AsyncIterator[Cluster]:
    """Opens the one connection pool of this process: in a pod by its ServiceAccount, else by KUBECONFIG."""
    configuration = client.Configuration()
    try:
        config.load_incluster_config(configuration)
    except ConfigException:
        await config.load_kube_config(client_configuration=configuration)
    async with client.ApiClient(configuration) as api_client:
        yield Cluster(api_client, calls)
