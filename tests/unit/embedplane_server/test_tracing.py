"""Traces as a collector receives them: what stands in them, whose they are, and that serving never depends on them."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from embedplane_server import __version__
from embedplane_server.app import create_app
from embedplane_server.tracing.configuration import configured_tracing, is_wanted
from tests.support.collector import Collector, running_collector
from tests.support.fake_engine import SPACE, FakeEngine, FakeTokenizer, engine_manifest, serve_settings
from tests.support.ports import free_port

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SERVER = 2
"""The kind of a span of a server, in OTLP."""


@pytest.fixture
def collector(monkeypatch) -> Iterator[Collector]:
    with running_collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


@asynccontextmanager
async def traced(engine: FakeEngine | None = None, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve with the tracing that the environment asks for; when the block ends all spans were sent."""
    chosen = serve_settings(**settings)
    with configured_tracing(chosen.model_name) as tracing:
        application = create_app(chosen, engine or FakeEngine(), FakeTokenizer(), engine_manifest(), tracing)
        async with application.running():
            transport = httpx.ASGITransport(application.asgi)
            async with httpx.AsyncClient(transport=transport, base_url="http://minilm.search:8080") as client:
                yield client


async def test_a_request_is_one_span_with_a_stage_for_each_part_of_its_way(collector):
    async with traced(dimensions={"allowed": [4]}) as client:
        body = {"input": ["one two", "three"], "dimensions": 4}
        answer = await client.post("/v1/embeddings", json=body, headers={"x-request-id": "r1", "user-agent": "tests"})
    assert answer.status_code == 200
    [span] = collector.requests()
    assert (span.name, span.kind, span.parent, span.failed) == ("POST /v1/embeddings", SERVER, "", False)
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/embeddings",
        "http.response.status_code": 200,
        "url.path": "/v1/embeddings",
        "url.scheme": "http",
        "server.address": "minilm.search",
        "server.port": 8080,
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "tests",
        "embedplane.model": "minilm",
        "embedplane.vector_space": f"{SPACE};dimensions=4",
        "embedplane.request_id": "r1",
        "embedplane.inputs": 2,
        "embedplane.tokens": 7,
        "embedplane.truncated_inputs": 0,
        "embedplane.dimensions": 4,
    }
    stages = collector.below(span)
    assert stages.keys() == {"tokenization", "queue", "inference"}
    assert {each.trace for each in collector.spans} == {span.trace}
    for name, stage in stages.items():
        assert span.begun <= stage.begun <= stage.ended <= span.ended
        told = float(answer.headers[f"x-embedplane-{name}-ms"])
        assert stage.seconds * 1000 == pytest.approx(told, abs=0.006), "the header is rounded"
    assert stages["queue"].ended == stages["inference"].begun


async def test_a_span_is_part_of_its_callers_trace(collector):
    headers = {"traceparent": CALLER, "tracestate": "vendor=1"}
    async with traced() as client:
        await client.post("/embed", json={"inputs": "x"}, headers=headers)
        await client.post("/embed", json={"inputs": "x"}, headers={"traceparent": "nonsense"})
    ours, alone = collector.requests()
    assert (ours.trace, ours.parent) == tuple(CALLER.split("-")[1:3])
    assert {each.trace for each in collector.below(ours).values()} == {ours.trace}
    assert alone.parent == ""


async def test_a_path_of_the_users_choice_is_a_route(collector):
    async with traced(default_route="/embed-this") as client:
        assert (await client.post("/embed-this", json={"input": "x"})).status_code == 200
    assert [span.name for span in collector.requests()] == ["POST /embed-this"]


async def test_what_the_caller_does_not_sample_is_not_sent(collector):
    async with traced() as client:
        for last in ("00", "01"):
            await client.post("/embed", json={"inputs": "x"}, headers={"traceparent": CALLER[:-2] + last})
    assert len(collector.requests()) == 1


async def test_the_sampler_is_the_environments(collector, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    async with traced() as client:
        assert (await client.post("/embed", json={"inputs": "x"})).status_code == 200
    assert collector.spans == []


async def test_probes_scrapes_and_preflights_make_no_spans(collector):
    preflight = {"origin": "https://a.example", "access-control-request-method": "POST"}
    async with traced(cors_origins=["*"]) as client:
        for path in ("/health", "/health/live", "/health/ready", "/metrics"):
            assert (await client.get(path)).status_code == 200
        assert (await client.options("/v1/embeddings", headers=preflight)).status_code == 200
        await client.get("/info")
    assert [span.name for span in collector.spans] == ["GET /info"]


@pytest.mark.parametrize(
    ("path", "body", "status", "refusal"),
    [
        ("/v1/embeddings", {"input": ""}, 400, "empty_input"),
        ("/v1/embeddings", {"input": "x", "model": "other"}, 404, "unknown_model"),
        ("/embed", {"inputs": "w " * 70}, 422, "input_too_long"),
    ],
)
async def test_a_refused_request_says_why_and_is_not_the_servers_fault(collector, path, body, status, refusal):
    async with traced() as client:
        assert (await client.post(path, json=body)).status_code == status
    [span] = collector.spans
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes["embedplane.refusal"] == refusal
    assert "error.type" not in span.attributes
    assert not span.failed


async def test_a_failure_of_the_engine_is_one(collector):
    engine = FakeEngine()
    engine.fails_on = set()
    async with traced(engine) as client:
        assert (await client.post("/v1/embeddings", json={"input": "x"})).status_code == 500
    [span] = collector.spans
    assert span.failed
    assert (span.attributes["error.type"], span.attributes["embedplane.refusal"]) == ("500", "engine_failed")


async def test_what_clients_make_up_makes_no_names(collector):
    async with traced() as client:
        await client.get("/" + "made-up/" * 1000)
        await client.request("BREW", "/coffee", headers={"host": "[nonsense", "user-agent": "u" * 5000})
    first, second = collector.spans
    assert (first.name, second.name) == ("GET", "HTTP")
    assert (second.attributes["http.request.method"], second.attributes["http.request.method_original"]) == (
        "_OTHER",
        "BREW",
    )
    assert "http.route" not in first.attributes | second.attributes
    assert "server.address" not in second.attributes
    assert max(len(str(value)) for value in (first.attributes | second.attributes).values()) <= 1024


async def test_resource_and_destination_are_as_the_standard_variables_say(collector, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/elsewhere")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=search")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    async with traced() as client:
        await client.get("/info")
    assert (collector.paths, collector.headers["x-tenant"]) == ({"/elsewhere"}, "search")
    resource = collector.spans[0].resource
    assert (resource["service.name"], resource["service.version"]) == ("minilm", __version__)
    assert resource["deployment.environment.name"] == "test"
    assert resource["host.name"]


async def test_the_services_name_is_the_environments_choice(collector, monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "embeddings")
    async with traced() as client:
        await client.get("/info")
    assert collector.spans[0].resource["service.name"] == "embeddings"


async def test_a_collector_that_is_down_costs_no_request_and_one_line(monkeypatch, caplog):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    async with traced() as client:
        for _ in range(50):
            assert (await client.post("/v1/embeddings", json={"input": "x"})).status_code == 200
        async with asyncio.timeout(10):
            while "traces are lost" not in caplog.text:
                assert (await client.post("/v1/embeddings", json={"input": "x"})).status_code == 200
        for _ in range(50):
            assert (await client.post("/v1/embeddings", json={"input": "x"})).status_code == 200
    [told] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "Connection refused" in told


async def test_a_collector_that_comes_back_is_told_of(collector, monkeypatch, caplog):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    caplog.set_level(logging.INFO, "embedplane_server.tracing")
    collector.status = 400
    async with traced() as client, asyncio.timeout(10):
        while "traces are lost" not in caplog.text:
            await client.get("/info")
        collector.status = 200
        while "takes traces again" not in caplog.text:
            await client.get("/info")
    assert caplog.text.count("traces are lost") == 1
    assert "400" in caplog.text
    assert collector.spans


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318/v1/metrics"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
)
def test_traces_are_sent_where_an_endpoint_is_named_and_nobody_objects(variables, wanted, caplog):
    assert is_wanted(variables) == wanted
    assert caplog.text == ""


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
        {"OTEL_TRACES_EXPORTER": "zipkin"},
    ],
)
def test_what_cannot_be_sent_as_it_is_asked_for_is_said(variables, caplog):
    assert not is_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", **variables})
    assert "none are sent" in caplog.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/does/not/exist"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "no url"),
        ("OTEL_RESOURCE_ATTRIBUTES", "nonsense"),
    ],
)
async def test_wrong_variables_cost_the_traces_and_not_the_server(collector, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    async with traced() as client:
        assert (await client.post("/v1/embeddings", json={"input": "x"})).status_code == 200


def test_without_an_endpoint_no_tracing_library_is_loaded():
    program = """
import sys
from embedplane_server import serve
from embedplane_server.tracing.configuration import configured_tracing
with configured_tracing("minilm") as tracing:
    assert tracing is None
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "google"))])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_without_tracing_there_is_no_layer_for_it(application):
    assert type(application.asgi).__name__ == "Edge"
