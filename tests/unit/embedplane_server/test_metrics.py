"""The metrics say what happened."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from embedplane_server.scheduling.work import Lane
from tests.support.eventually import until
from tests.support.fake_engine import SPACE


@pytest.fixture
def serve_options():
    return {"max_queued_tokens": 500}


async def samples(client) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families((await client.get("/metrics")).text):
        for sample in family.samples:
            labels = dict(sample.labels)
            if sample.name.startswith("embedplane_"):
                assert labels.pop("model") == "minilm"
                assert labels.pop("vector_space") == SPACE
            found[sample.name, *(f"{name}={value}" for name, value in sorted(labels.items()))] = sample.value
    return found


async def post(client, body):
    return await client.post("/v1/embeddings", json=body)


async def test_the_autoscalers_series_exist_before_any_request(client):
    found = await samples(client)
    for series in (
        ("embedplane_queued_tokens", "lane=interactive"),
        ("embedplane_queued_tokens", "lane=bulk"),
        ("embedplane_queued_inputs", "lane=interactive"),
        ("embedplane_queued_inputs", "lane=bulk"),
        ("embedplane_arrived_tokens_total", "outcome=admitted"),
        ("embedplane_arrived_tokens_total", "outcome=rejected_overload"),
        ("embedplane_tokens_total", "outcome=success"),
        ("embedplane_tokens_total", "outcome=failed"),
        ("embedplane_tokens_total", "outcome=cancelled"),
        ("embedplane_engine_busy_seconds_total",),
        ("embedplane_padding_tokens_total",),
    ):
        assert found[series] == 0.0


async def test_tokens_inputs_and_padding_are_counted(client):
    await post(client, {"input": ["one two three", "one"]})
    found = await samples(client)
    assert found["embedplane_arrived_tokens_total", "outcome=admitted"] == 8
    assert found["embedplane_tokens_total", "outcome=success"] == 8
    assert found["embedplane_inputs_total", "outcome=success"] == 2
    assert found["embedplane_padding_tokens_total",] == 2
    assert found["embedplane_engine_busy_seconds_total",] > 0
    assert found["embedplane_batch_tokens_sum",] == 8
    assert found["embedplane_batch_inputs_sum",] == 2
    assert found["embedplane_requests_total", "route=/v1/embeddings", "status=200"] == 1
    for name in ("request", "request_queue", "request_tokenization", "request_inference"):
        assert found[f"embedplane_{name}_duration_seconds_count",] == 1
        assert found[f"embedplane_{name}_duration_seconds_bucket", "le=0.0005"] >= 0


async def test_a_failed_batch_counts_as_failed(client, engine):
    engine.fails_on = set()
    await post(client, {"input": ["one two three", "one"]})
    found = await samples(client)
    assert found["embedplane_tokens_total", "outcome=failed"] == 8
    assert found["embedplane_tokens_total", "outcome=success"] == 0
    assert found["embedplane_rejected_total", "reason=engine_failed"] == 1
    assert found["embedplane_requests_total", "route=/v1/embeddings", "status=500"] == 1


async def test_what_waits_and_what_is_refused_is_counted_in_tokens(client, application, engine):
    engine.hold()
    running = asyncio.create_task(post(client, {"input": "x"}))
    await asyncio.to_thread(engine.wait_until_busy)
    bulk = asyncio.create_task(post(client, {"input": ["a b c"] * 50}))
    query = asyncio.create_task(post(client, {"input": "a"}))
    await until(lambda: all(application.scheduler.queued(lane).inputs for lane in Lane))
    found = await samples(client)
    assert found["embedplane_queued_tokens", "lane=interactive"] == 3
    assert found["embedplane_queued_tokens", "lane=bulk"] == 250
    assert found["embedplane_queued_inputs", "lane=bulk"] == 50
    assert (await post(client, {"input": ["a b c"] * 60})).status_code == 429
    found = await samples(client)
    assert found["embedplane_arrived_tokens_total", "outcome=admitted"] == 3 + 250 + 3
    assert found["embedplane_arrived_tokens_total", "outcome=rejected_overload"] == 300
    assert found["embedplane_rejected_total", "reason=overloaded"] == 1
    engine.release()
    await asyncio.gather(running, bulk, query)
    found = await samples(client)
    assert found["embedplane_queued_tokens", "lane=bulk"] == found["embedplane_queued_tokens", "lane=interactive"] == 0
    assert found["embedplane_tokens_total", "outcome=success"] == 256


async def test_bad_requests_arrive_nowhere(client):
    await post(client, {"input": "word " * 100})
    await post(client, {})
    found = await samples(client)
    assert found["embedplane_arrived_tokens_total", "outcome=admitted"] == 0
    assert found["embedplane_rejected_total", "reason=input_too_long"] == 1
    assert found["embedplane_rejected_total", "reason=invalid_request"] == 1


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [("GET", "/nothing", "http"), ("PUT", "/embed", "http"), ("GET", "/v1/models/nobody", "unknown_model")],
)
async def test_what_the_router_refuses_is_counted_too(client, method, path, reason):
    await client.request(method, path)
    assert (await samples(client))["embedplane_rejected_total", f"reason={reason}"] == 1


async def test_the_engine_is_described(client):
    found = await samples(client)
    assert (
        found[
            "embedplane_engine_info",
            "backend=openvino",
            "backend_version=2026.4.1",
            "commit=c0ffee",
            "conformance=0.999800",
            "precision=bfloat16",
        ]
        == 1
    )


async def test_what_the_engine_proved_is_a_series_for_each_figure(client):
    found = await samples(client)
    shown = {key[1]: value for key, value in found.items() if key[0] == "embedplane_engine_conformance"}
    assert shown == {"measure=texts": 50, "measure=minimum_cosine": 0.9998, "measure=mean_cosine": 0.9999}


async def test_paths_that_do_not_exist_share_one_label(client):
    for number in range(3):
        await client.get(f"/nothing/{number}")
    assert (await samples(client))["embedplane_requests_total", "route=other", "status=404"] == 3


async def test_openmetrics_is_served_to_those_who_ask(client):
    answer = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
