"""Calls to the API server: what is sent, and which error each answer becomes."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from embedplane_operator.cluster import Calls, Cluster, translate
from embedplane_operator.errors import (
    AlreadyExistsError,
    ClusterError,
    ClusterUnavailableError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RejectedError,
)
from embedplane_operator.kinds import DEPLOYMENT, JOB, POD, SECRET

Answer = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def connected(answer: Answer, calls: Calls | None = None) -> AsyncIterator[Cluster]:
    """A Cluster whose API server gives this answer to everything."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with client.ApiClient(client.Configuration(host=f"http://{host}:{port}")) as api_client:
            yield Cluster(api_client, calls, timeout=0.5)
    finally:
        await runner.cleanup()


def refusing(status: int, reason: str = "", message: str = "", headers: dict[str, str] | None = None) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"reason": reason, "message": message}, status=status, headers=headers)

    return answer


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"reason": "BadRequest"}, RejectedError),
        (401, {"reason": "Unauthorized"}, ClusterUnavailableError),
        (403, {"reason": "Forbidden"}, ForbiddenError),
        (404, {"reason": "NotFound"}, NotFoundError),
        (409, {"reason": "AlreadyExists"}, AlreadyExistsError),
        (409, {"reason": "Conflict"}, ConflictError),
        (422, {"reason": "Invalid"}, RejectedError),
        (429, {"reason": "TooManyRequests"}, ClusterUnavailableError),
        (500, {"message": "etcdserver: request timed out"}, ClusterUnavailableError),
        (500, {"message": "failed to create typed patch object: field not declared in schema"}, RejectedError),
        (503, None, ClusterUnavailableError),
    ],
)
def test_an_answer_becomes_the_error_that_says_what_to_do(
    status: int, body: dict[str, str] | None, error: type[ClusterError]
) -> None:
    text = b"<html>proxy</html>" if body is None else json.dumps(body).encode()

    assert type(translate("GET /x", status, {}, text)) is error


def test_a_refusal_names_the_fields_and_is_cut_short() -> None:
    details = {"causes": [{"field": "spec.template", "message": "immutable"}]}
    body = {"reason": "Invalid", "message": "x" * 5000, "details": details}

    error = translate("PATCH /jobs/a", 422, {}, json.dumps(body).encode())

    assert error.refusal.fields == ("spec.template",)
    assert len(str(error)) < 1000


def test_the_api_server_s_wish_to_wait_is_obeyed() -> None:
    assert translate("GET /x", 429, {"Retry-After": "7"}, b"{}").retry_after == 7


async def test_an_apply_is_forced_and_names_its_manager() -> None:
    seen: dict[str, Any] = {}

    async def answer(request: web.Request) -> web.Response:
        body = await request.text()
        seen.update(path=request.path, query=dict(request.query), type=request.content_type, body=json.loads(body))
        return web.json_response(seen["body"])

    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}}
    async with connected(answer) as cluster:
        await cluster.apply(manifest, dry_run=True)

    assert seen == {
        "path": "/apis/apps/v1/namespaces/n/deployments/d",
        "query": {"fieldManager": "embedplane", "force": "true", "dryRun": "All"},
        "type": "application/apply-patch+yaml",
        "body": manifest,
    }


async def test_items_of_a_list_carry_their_kind() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.query["labelSelector"] == "a=b"
        return web.json_response({"items": [{"metadata": {"name": "p"}}]})

    async with connected(answer) as cluster:
        assert await cluster.list(POD, "n", "a=b") == ({"metadata": {"name": "p"}, "kind": "Pod", "apiVersion": "v1"},)


async def test_a_secret_s_content_is_never_asked_for() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Accept"] == "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
        assert request.path == SECRET.path("n", "s")
        return web.json_response({"metadata": {"resourceVersion": "41"}})

    async with connected(answer) as cluster:
        assert await cluster.secret_version("n", "s") == "41"


async def test_what_does_not_exist_is_none_and_need_not_be_deleted() -> None:
    async with connected(refusing(404, "NotFound")) as cluster:
        assert await cluster.get(JOB, "n", "j") is None
        assert await cluster.secret_version("n", "s") is None
        await cluster.delete(JOB, "n", "j", "uid")


async def test_only_this_very_object_is_deleted_with_what_it_owns() -> None:
    seen: dict[str, Any] = {}

    async def answer(request: web.Request) -> web.Response:
        seen.update(await request.json())
        return web.json_response({})

    async with connected(answer) as cluster:
        await cluster.delete(DEPLOYMENT, "n", "d", "some-uid")

    assert seen == {"propagationPolicy": "Background", "preconditions": {"uid": "some-uid"}}


async def test_an_api_server_that_hangs_is_unavailable() -> None:
    gate = asyncio.Event()

    async def answer(_request: web.Request) -> web.Response:
        await gate.wait()
        return web.Response()

    async with connected(answer) as cluster:
        with pytest.raises(ClusterUnavailableError, match="no answer"):
            await cluster.get(JOB, "n", "j", within=0.1)
        gate.set()


async def test_an_api_server_that_is_gone_is_unavailable() -> None:
    async with connected(refusing(200)) as cluster:
        cluster._client.configuration.host = "http://127.0.0.1:1"
        with pytest.raises(ClusterUnavailableError, match="no answer"):
            await cluster.get(JOB, "n", "j")


async def test_every_call_is_counted_with_its_verb_and_status() -> None:
    counted: list[tuple[str, int]] = []
    calls = Calls(lambda verb, status, _seconds: counted.append((verb, status)))
    async with connected(refusing(404), calls) as cluster:
        await cluster.get(JOB, "n", "j")

    assert counted == [("get", 404)]
