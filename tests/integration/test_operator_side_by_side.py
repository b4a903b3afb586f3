"""Two vector spaces of one model against a real API server: selectors, notes, nothing written twice."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_kubelet import FakeKubelet, unscheduled
from tests.support.kubectl import Kubectl
from tests.support.operator_process import running
from tests.support.waiting import wait_for
from tests.support.world import ENGINE, SPACE_A, SPACE_B, fetched
from tests.support.writes import last_writes

pytestmark = pytest.mark.cluster

WRITTEN = "deployments,services,poddisruptionbudgets,pods"


def selected(namespace: Kubectl, service: str) -> str | None:
    found = namespace.get("service", service)
    return found["spec"]["selector"]["embedplane.io/vector-space"] if found else None


def roles(namespace: Kubectl) -> dict[str, str]:
    status = (namespace.get("embeddingmodel", "minilm") or {}).get("status", {})
    return {each["id"]: each["role"] for each in status.get("vectorSpaces", [])}


def patch(namespace: Kubectl, **spec: Any) -> None:
    namespace.patch("embeddingmodel", "minilm", {"spec": spec})


def test_a_switch_and_the_return_with_an_operator_killed_at_each_step(namespace: Kubectl, tmp_path: Path) -> None:
    kubelet = FakeKubelet(namespace)
    scaling = {"minReplicas": 1, "maxReplicas": 2}
    namespace.apply(unscheduled("minilm", namespace.namespace, vectorSpacePolicy="SideBySide", scaling=scaling))
    with running(tmp_path / "first", namespace.namespace) as operator:
        kubelet.finish("fetch", fetched(engine=ENGINE))
        kubelet.ready("minilm")
        namespace.wait_ready("minilm")
        patch(namespace, embedding={"pooling": "cls"})
        kubelet.job("fetch")
        operator.kill()
    kubelet.finish("fetch", fetched(SPACE_B, engine=ENGINE))
    with running(tmp_path / "candidate", namespace.namespace) as operator:
        wait_for("B is a candidate", lambda: roles(namespace).get(SPACE_B) == "Candidate")
        wait_for("it has a Service", lambda: selected(namespace, "minilm-candidate") == SPACE_B)
        kubelet.ready("minilm")
        namespace.wait_ready("minilm")
        operator.kill()
    patch(namespace, activeVectorSpace=SPACE_B)
    with running(tmp_path / "cut-over", namespace.namespace) as operator:
        wait_for("the Service moved", lambda: selected(namespace, "minilm") == SPACE_B)
        operator.kill()
    with running(tmp_path / "retiring", namespace.namespace) as operator:
        wait_for("A retires", lambda: roles(namespace) == {SPACE_B: "Active", SPACE_A: "Retiring"})

        def told() -> list[str | None]:
            pods = namespace.list("pods", f"embedplane.io/vector-space={SPACE_A}")
            return [pod["metadata"].get("annotations", {}).get("embedplane.io/role") for pod in pods]

        wait_for("its pod was told", lambda: told() == ["Retiring"])
        namespace.wait_ready("minilm")
        operator.wait_until_it_looked()
        # The autoscaler's last word: until it sees the ready pod it says NoReadyReplicas.
        namespace.wait_for_condition("minilm", "ScalingActive", "False", reason="PrometheusNotConfigured")
        operator.kill()
    before = last_writes(namespace, WRITTEN)
    with running(tmp_path / "at-rest", namespace.namespace) as operator:
        operator.wait_until_leading()
        operator.wait_until_it_looked()
        assert last_writes(namespace, WRITTEN) == before

        patch(namespace, activeVectorSpace=SPACE_A)
        wait_for("the Service moved back", lambda: selected(namespace, "minilm") == SPACE_A)
        patch(namespace, embedding=None)
        wait_for("B retires", lambda: roles(namespace) == {SPACE_A: "Active", SPACE_B: "Retiring"})
        patch(namespace, retireAfter="1s")
        for deployment in namespace.list("deployments", f"embedplane.io/vector-space={SPACE_B}"):
            namespace.run("scale", "deployment", deployment["metadata"]["name"], "--replicas=0")
        wait_for("B is gone", lambda: roles(namespace) == {SPACE_A: "Active"},
                 explain=lambda: namespace.explain("minilm"))  # fmt: skip
        assert namespace.get("service", "minilm-candidate") is None
        assert namespace.names("poddisruptionbudgets") == {"minilm"}
        namespace.wait_ready("minilm")
