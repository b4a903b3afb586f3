"""Which models an event concerns, what kopf is told to watch, and how the process shows that it lives."""

import json
from typing import Any

import aiohttp
import kopf
import pytest

from embedplane_operator.handlers import register, watch_settings
from embedplane_operator.health import Addresses, HealthServer, Pulse
from embedplane_operator.index import ModelIndex
from embedplane_operator.metrics import AutoscalerCounts, Metrics
from embedplane_operator.workqueue import Key, WorkQueue

MINILM, OTHER = Key("search", "minilm"), Key("search", "other")
OWNER = {"apiVersion": "embedplane.io/v1alpha1", "kind": "EmbeddingModel", "name": "minilm", "uid": "u"}


def body(name: str = "x", labels: dict[str, str] | None = None, owners: list[dict[str, str]] | None = None) -> Any:
    metadata = {"name": name, "namespace": "search", "labels": labels or {}, "ownerReferences": owners or []}
    return {"metadata": metadata}


def index() -> ModelIndex:
    made = ModelIndex()
    for key in (MINILM, OTHER, Key("elsewhere", "third")):
        made.remember(key)
    made.set_shared_jobs(OTHER, frozenset({"build-1"}))
    return made


@pytest.mark.parametrize(
    ("kind", "event", "concerned"),
    [
        ("Deployment", body(labels={"embedplane.io/model": "minilm"}), {MINILM}),
        ("Job", body("build-9", owners=[OWNER]), {MINILM}),
        ("Job", body("build-1"), {OTHER}),
        ("Pod", body(labels={"batch.kubernetes.io/job-name": "build-1"}), {OTHER}),
        ("Pod", body(labels={"batch.kubernetes.io/job-name": "build-2"}), set()),
        ("PersistentVolumeClaim", body("embedplane-store"), {MINILM, OTHER}),
    ],
)
def test_an_event_concerns_the_models_it_belongs_to(kind: str, event: Any, concerned: set[Key]) -> None:
    assert index().concerned(kind, event) == concerned


def test_a_model_that_is_gone_is_concerned_by_nothing() -> None:
    made = index()
    made.forget(OTHER)

    assert made.concerned("Job", body("build-1")) == set()
    assert made.concerned("PersistentVolumeClaim", body()) == {MINILM}


def test_children_are_filtered_on_the_server_and_kopf_writes_nothing() -> None:
    settings = watch_settings(30)

    assert not settings.posting.enabled
    assert settings.peering.standalone
    assert settings.scanning.disabled
    chosen = {selector.any_name: text for selector, text in settings.watching.label_selectors.items()}
    assert set(chosen) == {"deployments", "jobs", "pods", "services", "persistentvolumeclaims"}
    assert set(chosen.values()) == {"app.kubernetes.io/managed-by=embedplane"}


def test_only_plain_event_handlers_are_registered() -> None:
    registry = kopf.OperatorRegistry()

    register(registry, WorkQueue(), ModelIndex(), lambda: None)

    assert len(registry._watching.get_all_handlers()) == 6
    assert registry._changing.get_all_handlers() == []
    assert registry._spawning.get_all_handlers() == []


def test_the_autoscaler_s_counts_are_shown() -> None:
    metrics = Metrics()
    metrics.registry.register(
        AutoscalerCounts(lambda: {"ticks": 5, "prometheus_failures": 2, "cluster_failures": 0, "changes": 1})
    )

    assert "embedplane_operator_autoscaler_prometheus_failures_total 2.0" in metrics.render().decode()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_the_process_is_alive_until_a_part_is_silent_for_too_long() -> None:
    clock = Clock()
    pulse = Pulse(clock)
    pulse.expect("autoscaler", 60)
    pulse.expect("watch", None)
    server = HealthServer(pulse, Metrics(), lambda: None)
    await server.start(Addresses("127.0.0.1", 0, 0))
    try:
        health, metrics = (runner.addresses[0][1] for runner in server._runners)
        async with aiohttp.ClientSession() as session:

            async def ask(port: int, path: str) -> tuple[int, str]:
                async with session.get(f"http://127.0.0.1:{port}{path}") as response:
                    return response.status, await response.text()

            assert (await ask(health, "/health/live"))[0] == 200
            assert (await ask(health, "/health/ready"))[0] == 503
            server.started = True
            assert (await ask(health, "/health/ready"))[0] == 200
            clock.now = 61.0
            status, text = await ask(health, "/health/live")
            assert (status, json.loads(text)["silent"]) == (503, ["autoscaler"])
            assert "embedplane_operator_queue_depth" in (await ask(metrics, "/metrics"))[1]
    finally:
        await server.stop()
