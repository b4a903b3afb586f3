"""Every way in which Prometheus can fail becomes one error that says where, what and what to do."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from embedplane_operator.prometheus import Endpoint, MetricsUnavailableError, Prometheus, Sample

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
ONE = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {"a": "b"}, "value": [1, "2.5"]}]}}


@asynccontextmanager
async def server(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_get("/base/api/v1/query", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/base"
    finally:
        await runner.cleanup()


def answering(body: object, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    return answer


async def failure(answer: Answer, **endpoint: object) -> str:
    async with server(answer) as url:
        with pytest.raises(MetricsUnavailableError) as caught:
            await Prometheus(Endpoint(url, **endpoint)).query("up")  # type: ignore[arg-type]  # fields by name
        assert url in str(caught.value)
        return str(caught.value)


async def test_an_instant_vector_comes_back_as_samples() -> None:
    async with server(answering(ONE)) as url:
        assert await Prometheus(Endpoint(url + "/")).query("up") == [Sample({"a": "b"}, 2.5)]


async def test_expressions_of_a_batch_keep_their_names() -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        result = [{"metric": {"asked": request.query["query"]}, "value": [1, "1"]}]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})

    async with server(echo) as url:
        found = await Prometheus(Endpoint(url)).query_all({"one": "up > 0", "two": 'a{b="c d"}'})
    assert {name: samples[0].labels["asked"] for name, samples in found.items()} == {
        "one": "up > 0",
        "two": 'a{b="c d"}',
    }


async def test_what_is_not_a_number_is_left_out() -> None:
    result = [{"metric": {}, "value": [1, value]} for value in ("NaN", "+Inf", "-Inf", "7")]
    body = {"status": "success", "data": {"resultType": "vector", "result": result}}
    async with server(answering(body)) as url:
        assert await Prometheus(Endpoint(url)).query("up") == [Sample({}, 7.0)]


async def test_an_empty_vector_is_an_answer() -> None:
    body = {"status": "success", "data": {"resultType": "vector", "result": []}}
    async with server(answering(body)) as url:
        assert await Prometheus(Endpoint(url)).query("up") == []


async def test_headers_and_a_token_that_is_read_each_time(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    async def note(request: web.Request) -> web.StreamResponse:
        seen.append((request.headers["Authorization"], request.headers["X-Scope-OrgID"]))
        return web.json_response(ONE)

    token = tmp_path / "token"
    async with server(note) as url:
        prometheus = Prometheus(Endpoint(url, bearer_token_file=token, headers={"X-Scope-OrgID": "search"}))
        for text in ("first\n", "second\n"):
            token.write_text(text)
            await prometheus.query("up")
    assert seen == [("Bearer first", "search"), ("Bearer second", "search")]


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (400, "prometheus.matchers"),
        (401, "prometheus.bearerTokenFile"),
        (403, "grant it read access"),
        (404, "before /api/v1"),
        (503, "asked again"),
    ],
)
async def test_a_refusal_names_status_words_and_remedy(status: int, remedy: str) -> None:
    message = await failure(answering({"status": "error", "error": "parse error: x"}, status))
    assert f"answered {status}: parse error: x" in message
    assert remedy in message


async def test_a_page_of_something_else_is_a_failure() -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>\n<h1>Login</h1>" + "x" * 1000, content_type="text/html")

    message = await failure(page)
    assert "answered 200: <html> <h1>Login</h1>" in message
    assert len(message) < 700


@pytest.mark.parametrize(
    "data",
    [
        {"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "1"]]}]},
        {"resultType": "scalar", "result": [1, "1"]},
        {},
    ],
)
async def test_an_answer_that_is_no_instant_vector_is_a_failure(data: object) -> None:
    assert "not an instant vector" in await failure(answering({"status": "success", "data": data}))


async def test_a_partial_answer_is_a_failure() -> None:
    message = await failure(answering({**ONE, "warnings": ["store 10.0.0.7 is down"]}))
    assert "store 10.0.0.7 is down" in message
    assert "partial" in message


async def test_notes_about_the_expression_are_not_a_failure() -> None:
    async with server(answering({**ONE, "infos": ["metric might not be a counter"]})) as url:
        assert await Prometheus(Endpoint(url)).query("up")


async def test_nobody_there_is_a_failure_without_credentials_in_its_words() -> None:
    with pytest.raises(MetricsUnavailableError) as caught:
        await Prometheus(Endpoint("http://user:secret@127.0.0.1:9/")).query("up")
    assert "http://127.0.0.1:9/" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "NetworkPolicies" in str(caught.value)


async def test_silence_is_a_failure_after_the_timeout() -> None:
    released = asyncio.Event()

    async def wait(_: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.json_response(ONE)

    async with server(wait) as url:
        with pytest.raises(MetricsUnavailableError, match=r"did not answer within 0\.05 s"):
            await Prometheus(Endpoint(url, timeout_seconds=0.05)).query_all({"a": "up", "b": "up"})
        released.set()


async def test_an_unreadable_token_or_ca_is_named(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    with pytest.raises(MetricsUnavailableError, match=r"absent.*bearerTokenFile"):
        await Prometheus(Endpoint("http://127.0.0.1:9", bearer_token_file=absent)).query("up")
    with pytest.raises(MetricsUnavailableError, match=r"absent.*caFile"):
        await Prometheus(Endpoint("https://127.0.0.1:9", ca_file=absent)).query("up")


@pytest.fixture
def private_ca(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that signs itself, and what a server needs to show it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    request = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
    ]
    names = ["-subj", "/CN=prometheus", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*request, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    return certificate, tls


async def test_a_private_ca_is_trusted_when_it_is_named_and_only_then(private_ca: tuple[Path, ssl.SSLContext]) -> None:
    certificate, tls = private_ca
    async with server(answering(ONE), tls) as url:
        assert await Prometheus(Endpoint(url, ca_file=certificate)).query("up")
        with pytest.raises(MetricsUnavailableError, match=r"certificate.*prometheus\.caFile"):
            await Prometheus(Endpoint(url)).query("up")
