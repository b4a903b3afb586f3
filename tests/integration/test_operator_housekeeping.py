"""Collections of a store, against a real API server; the pods are played."""

import json
from pathlib import Path

import pytest

from tests.integration.test_operator_way import serve
from tests.support.fake_kubelet import FakeKubelet, unscheduled
from tests.support.kubectl import Kubectl, Manifest, is_going
from tests.support.operator_process import running
from tests.support.waiting import wait_for
from tests.support.world import ENGINE, SPACE_A

pytestmark = pytest.mark.cluster

DONE = {"models": 1, "exports": 1, "engines": 1, "leftovers": 0, "removedBytes": 7}
COLLECTIONS = "app.kubernetes.io/component=collect"


def kept(job: Manifest) -> list[str]:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    names: list[str] = json.loads(variables["EMBEDPLANE_KEEP"])
    return names


def test_a_store_is_collected_at_the_interval_with_what_its_models_use(namespace: Kubectl, tmp_path: Path) -> None:
    kubelet = FakeKubelet(namespace)
    seconds = {"intervalSeconds": 8, "graceSeconds": 1}
    with running(tmp_path, namespace.namespace, storeCollection=seconds) as operator:
        serve(namespace, "minilm")

        def collects_for(*names: str) -> Manifest | None:
            jobs = namespace.list("jobs", COLLECTIONS)
            return next((job for job in jobs if set(kept(job)) == set(names)), None)

        used = ("d" * 64, ENGINE["key"], SPACE_A)
        job = wait_for("a collection knows what is used", lambda: collects_for(*used))
        assert "ownerReferences" not in job["metadata"]
        running_now = [each for each in namespace.list("jobs", COLLECTIONS) if not is_going(each)]
        assert len(running_now) <= 1  # none for a moment, where another interval begins

        def is_counted() -> bool:
            kubelet.finish_any("collect", DONE)  # and the next one's, where the first was too late for its interval
            return operator.metric("embedplane_operator_store_collected_bytes_total") >= 7

        wait_for("the end of a collection is counted", is_counted)

        namespace.delete("embeddingmodel", "minilm")

        wait_for("a collection knows that nothing is used", collects_for)
        assert namespace.get("persistentvolumeclaim", "embedplane-store")


def test_a_collection_that_cannot_run_is_told_at_a_model(namespace: Kubectl, tmp_path: Path) -> None:
    seconds = {"intervalSeconds": 30, "graceSeconds": 1}  # it looks ten times in an interval, else once a minute
    with running(tmp_path, namespace.namespace, storeCollection=seconds):
        namespace.apply(unscheduled("minilm", namespace.namespace))
        namespace.wait_for_events("StoreNotCollected")
