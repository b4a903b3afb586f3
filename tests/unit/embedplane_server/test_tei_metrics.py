"""The `te_*` names hold what was sent, so that dashboards for text-embeddings-inference are right."""

import asyncio

import pytest

from embedplane_server.metrics import Identity, Metrics
from embedplane_server.scheduling.work import Lane
from tests.support.eventually import until
from tests.support.fake_engine import SPACE
from tests.unit.embedplane_server.test_metrics import samples


@pytest.fixture
def serve_options():
    return {"max_queued_tokens": 500}


async def tei_samples(client):
    found = await samples(client)
    return {
        (name, *(label for label in labels if not label.startswith(("model=", "vector_space=")))): value
        for (name, *labels), value in found.items()
        if name.startswith("te_")
    }


async def test_all_exist_before_any_request(client):
    found = await tei_samples(client)
    for series in (
        ("te_queue_size",),
        ("te_request_count", "method=single"),
        ("te_request_count", "method=batch"),
        ("te_request_success", "method=single"),
        ("te_request_failure", "err=overloaded"),
        ("te_request_failure", "err=validation"),
        ("te_embed_count",),
        ("te_embed_success",),
        ("te_request_duration_count",),
        ("te_batch_next_size_sum",),
        ("te_request_input_length_bucket", "le=1.0"),
    ):
        assert found[series] == 0


async def test_all_have_our_labels(client):
    for series in await samples(client):
        if series[0].startswith("te_"):
            assert {label.partition("=")[0] for label in series[1:]} >= {"model", "vector_space"}


async def test_requests_inputs_and_lengths_are_what_was_sent(client):
    await client.post("/v1/embeddings", json={"input": "one two three"})
    await client.post("/embed", json={"inputs": ["one two three", "one", "a b"]})
    await client.post("/v1/embeddings", json={"input": [101, 2000, 102]})
    found = await tei_samples(client)
    assert found["te_request_count", "method=single"] == found["te_request_success", "method=single"] == 2
    assert found["te_request_count", "method=batch"] == found["te_request_success", "method=batch"] == 1
    assert found["te_embed_count",] == found["te_embed_success",] == 5
    assert found["te_request_input_length_count",] == 5
    assert found["te_request_input_length_sum",] == 5 + 5 + 3 + 4 + 3
    lengths = {1.0: 0, 2.0: 0, 4.0: 3, 8.0: 5, 16.0: 5}
    for bound, count in lengths.items():
        assert found["te_request_input_length_bucket", f"le={bound}"] == count
    assert found["te_request_input_length_bucket", "le=+Inf"] == 5
    assert found["te_batch_next_tokens_sum",] == 20
    assert found["te_batch_next_size_sum",] == 5
    for name in ("", "_tokenization", "_queue", "_inference"):
        assert found[f"te_request{name}_duration_count",] == 3
        ours = await samples(client)
        for part in ("sum", "count"):
            assert (
                found[f"te_request{name}_duration_{part}",]
                == ours[f"embedplane_request{name}_duration_seconds_{part}",]
            )


async def test_lengths_of_many_inputs_are_counted_like_those_of_few(client):
    await client.post("/embed", json={"inputs": ["w " * number for number in range(1, 21)]})
    found = await tei_samples(client)
    for bound in (1, 2, 4, 8, 16, 32, 64):
        lengths = [number + 2 for number in range(1, 21)]
        expected = sum(length <= bound for length in lengths)
        assert found["te_request_input_length_bucket", f"le={float(bound)}"] == expected


async def test_failures_are_told_apart(client, application, engine):
    engine.hold()
    running = asyncio.create_task(client.post("/embed", json={"inputs": "x"}))
    await asyncio.to_thread(engine.wait_until_busy)
    waiting = asyncio.create_task(client.post("/embed", json={"inputs": ["a b c"] * 50}))
    await until(lambda: application.scheduler.queued(Lane.BULK).inputs == 50)
    assert (await tei_samples(client))["te_queue_size",] == 50
    assert (await client.post("/embed", json={"inputs": ["a b c"] * 60})).status_code == 429
    engine.release()
    await asyncio.gather(running, waiting)
    engine.fails_on = set()
    await client.post("/embed", json={"inputs": "x"})
    await client.post("/embed", json={"inputs": "word " * 100})
    await client.post("/embed", json={"inputs": [[1]]})
    await client.post("/embed", json={"inputs": ["x"] * 2049})
    await client.post("/rerank", json={})
    found = await tei_samples(client)
    failures = {series[1]: value for series, value in found.items() if series[0] == "te_request_failure"}
    assert failures == {
        "err=overloaded": 1,
        "err=inference": 1,
        "err=validation": 1,
        "err=tokenization": 1,
        "err=batch_size": 1,
        "err=model_type": 1,
        "err=dropped": 0,
    }
    assert found["te_queue_size",] == 0
    assert found["te_request_success", "method=batch"] == 1
    assert found["te_embed_success",] == 51


async def test_openmetrics_takes_them_too(client):
    answer = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert "# TYPE te_request_count unknown\n" in answer.text
    assert "# TYPE te_queue_size gauge\n" in answer.text
    assert answer.text.endswith("# EOF\n")


def test_a_server_that_holds_too_much_is_overloaded():
    metrics = Metrics(Identity("minilm", SPACE))
    metrics.rejected("too_much_held")
    labels = {"model": "minilm", "vector_space": SPACE, "err": "overloaded"}
    assert metrics.registry.get_sample_value("te_request_failure", labels) == 1
