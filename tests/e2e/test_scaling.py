"""Load raises replicas, silence lowers them, a Prometheus that is gone changes nothing."""

from typing import Any

import pytest

from tests.support.cluster import LocalCluster
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.serving import address_of
from tests.support.texts import text_of
from tests.support.traffic import bulk_load
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster

QUICK = {
    "scaleUp": {"stabilizationWindowSeconds": 0},
    "scaleDown": {
        "stabilizationWindowSeconds": 20,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    },
}


def desired(shared: Kubectl, name: str) -> int:
    deployment = shared.deployment_of(name)
    return int(deployment["spec"]["replicas"]) if deployment else 0


def reported(shared: Kubectl, name: str) -> dict[str, Any]:
    scaling: dict[str, Any] = (shared.get("embeddingmodel", name) or {})["status"]["scaling"]
    return scaling


def test_load_raises_replicas_and_silence_lowers_them(shared: Kubectl):
    scaling = {"minReplicas": 1, "maxReplicas": 2, "targetQueueSeconds": 0.2, "behavior": QUICK}
    shared.apply(embedding_model("elastic", shared.namespace, scaling=scaling))
    shared.wait_ready("elastic")
    shared.wait_for_condition("elastic", "ScalingActive", "True")

    with bulk_load(address_of(shared, "elastic"), "elastic", [text_of(150, start) for start in range(64)]):
        wait_for("two replicas are wanted", lambda: desired(shared, "elastic") == 2,
                 explain=lambda: shared.explain("elastic"))  # fmt: skip

    wait_for("one replica is left", lambda: desired(shared, "elastic") == 1,
             explain=lambda: shared.explain("elastic"))  # fmt: skip
    wait_for("status says so", lambda: reported(shared, "elastic")["desiredReplicas"] == 1)
    assert reported(shared, "elastic")["reason"]


def test_without_prometheus_nothing_is_scaled_and_the_condition_says_so(shared: Kubectl, local_cluster: LocalCluster):
    scaling = {"minReplicas": 1, "maxReplicas": 3, "behavior": QUICK}
    shared.apply(embedding_model("blind", shared.namespace, scaling=scaling))
    shared.wait_ready("blind")
    shared.wait_for_condition("blind", "ScalingActive", "True")
    deployment = shared.deployment_of("blind")
    assert deployment is not None

    with local_cluster.without("prometheus"):
        lost = shared.wait_for_condition("blind", "ScalingActive", "False")
        assert lost["reason"] in {"MetricsUnavailable", "MetricsMissing"}
        # With metrics the idle second replica would go at the next look: a few pass until it is ready.
        shared.run("scale", "deployment", deployment["metadata"]["name"], "--replicas=2")
        shared.wait_for_replicas("blind", 2)
        wait_for("the autoscaler keeps both", lambda: reported(shared, "blind")["desiredReplicas"] == 2)
        assert desired(shared, "blind") == 2

    shared.wait_for_condition("blind", "ScalingActive", "True")
