"""The operator's whole way against a real API server, scheduler and controllers; only the pods are played."""

import json
from pathlib import Path

import pytest

from tests.support.fake_kubelet import FakeKubelet, unscheduled
from tests.support.kubectl import Kubectl, Manifest, condition_in, reasons_of
from tests.support.operator_process import running
from tests.support.waiting import wait_for
from tests.support.world import ENGINE, SPACE_A, SPACE_B, fetched
from tests.support.writes import OURS, last_writes

pytestmark = pytest.mark.cluster

OWNED = "deployments,services,jobs,pods,poddisruptionbudgets"
WRITTEN = "deployments,services,poddisruptionbudgets,serviceaccounts,networkpolicies,persistentvolumeclaims"


def build(kubelet: FakeKubelet) -> None:
    kubelet.finish("fetch", fetched())
    kubelet.finish("export", {"exportKey": "x" * 64, "texts": 64})
    kubelet.finish("build", ENGINE)


def serve(namespace: Kubectl, name: str, **spec: object) -> Manifest:
    kubelet = FakeKubelet(namespace)
    namespace.apply(unscheduled(name, namespace.namespace, **spec))
    build(kubelet)
    kubelet.ready(name)
    return namespace.wait_ready(name)


def test_a_model_is_served_survives_restarts_untouched_and_goes_with_its_children(
    namespace: Kubectl, tmp_path: Path
) -> None:
    with running(tmp_path / "first", namespace.namespace) as operator:
        model = serve(namespace, "minilm", scaling={"minReplicas": 1, "maxReplicas": 2})
        status = model["status"]
        assert status["source"]["commit"] == "c" * 40
        assert status["vectorSpace"]["id"] == SPACE_A
        assert status["engine"]["key"] == ENGINE["key"]
        assert status["servedGeneration"] == model["metadata"]["generation"]
        assert {each["type"] for each in status["conditions"]} == {
            "Ready", "SourceResolved", "EngineReady", "VectorSpaceStable", "Available", "ScalingActive",
        }  # fmt: skip
        assert {
            owner["name"] for owner in (namespace.deployment_of("minilm") or {})["metadata"]["ownerReferences"]
        } == {"minilm"}
        wait_for("the Jobs are gone", lambda: not namespace.list("jobs"))
        namespace.wait_for_events("FetchRunning", "Resolved", "Published", "Serving")
        # The autoscaler's last word: until it sees the ready pod it says NoReadyReplicas.
        namespace.wait_for_condition("minilm", "ScalingActive", "False", reason="PrometheusNotConfigured")
        operator.kill()

    before = last_writes(namespace, WRITTEN)
    with running(tmp_path / "second", namespace.namespace) as operator:
        operator.wait_until_leading()
        operator.wait_until_it_looked()
        assert last_writes(namespace, WRITTEN) == before
        assert namespace.list("jobs") == []

        namespace.delete("embeddingmodel", "minilm")
        wait_for("no child is left", lambda: not namespace.list(OWNED, OURS))
        assert operator.terminate() == 0


def test_an_operator_killed_at_every_step_ends_with_one_engine(namespace: Kubectl, tmp_path: Path) -> None:
    kubelet = FakeKubelet(namespace)
    namespace.apply(unscheduled("minilm", namespace.namespace))
    for step, answer in (
        ("fetch", fetched()),
        ("export", {"exportKey": "x" * 64, "texts": 64}),
        ("build", ENGINE),
    ):
        with running(tmp_path / step, namespace.namespace):
            kubelet.job(step)
        kubelet.finish(step, answer)  # while no operator looks
    with running(tmp_path / "rollout", namespace.namespace):
        wait_for("the Deployment is there", lambda: namespace.deployment_of("minilm"))
    kubelet.ready("minilm")
    with running(tmp_path / "last", namespace.namespace):
        namespace.wait_ready("minilm")
        assert len(namespace.list("deployments")) == 1


def test_the_scheduler_and_the_job_are_quoted(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path, namespace.namespace):
        namespace.apply(unscheduled("minilm", namespace.namespace))
        stuck = namespace.wait_for_condition("minilm", "SourceResolved", "False", reason="NoMatchingNode")
        assert "nodes are available" in stuck["message"]

        FakeKubelet(namespace).fail("fetch", "RepositoryNotFound", "nobody/nothing is not on the hub")

        failed = namespace.wait_for_model("minilm", "Stalled", "True", reason="RepositoryNotFound")
        assert reasons_of(failed, "Ready") == [("False", "RepositoryNotFound")]
        assert "nobody/nothing" in (condition_in(failed, "Ready") or {})["message"]


def test_a_quota_is_quoted_and_the_job_starts_when_it_is_gone(namespace: Kubectl, tmp_path: Path) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": namespace.namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    namespace.apply(quota)
    wait_for("the quota counts", lambda: (namespace.get("resourcequota", "none") or {}).get("status", {}).get("used"))
    with running(tmp_path, namespace.namespace):
        namespace.apply(unscheduled("minilm", namespace.namespace))
        failed = namespace.wait_for_condition("minilm", "SourceResolved", "False", reason="QuotaExceeded")
        assert "exceeded quota" in failed["message"]

        namespace.delete("resourcequota", "none")

        namespace.wait_for_condition("minilm", "SourceResolved", "False", reason="NoMatchingNode")


def test_a_repaired_secret_is_used_at_once(namespace: Kubectl, tmp_path: Path) -> None:
    token = {"repo": "acme/gated", "tokenSecretRef": {"name": "hub-token"}}
    with running(tmp_path, namespace.namespace):
        namespace.apply(unscheduled("gated", namespace.namespace, source={"huggingFace": token}))
        namespace.wait_for_condition("gated", "SourceResolved", "False", reason="SecretNotFound")
        namespace.run("create", "secret", "generic", "hub-token", "--from-literal=token=wrong")
        FakeKubelet(namespace).fail("fetch", "AccessDenied", "the token has no rights")
        namespace.wait_for_condition("gated", "SourceResolved", "False", reason="AccessDenied")

        namespace.patch("secret", "hub-token", {"stringData": {"token": "right"}})

        FakeKubelet(namespace).finish("fetch", fetched())
        namespace.wait_for_condition("gated", "SourceResolved", "True")


def test_a_lost_status_is_read_back_and_a_change_of_space_is_refused(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path, namespace.namespace):
        before = serve(namespace, "minilm")
        deployment = namespace.deployment_of("minilm") or {}
        wait_for("the Jobs are gone", lambda: not namespace.list("jobs"))
        namespace.patch("embeddingmodel", "minilm", {"status": None}, "--subresource=status")
        after = namespace.wait_ready("minilm")
        for part in ("source", "vectorSpace", "engine"):
            assert after["status"][part] == before["status"][part]
        assert namespace.list("jobs") == []

        namespace.patch("embeddingmodel", "minilm", {"spec": {"embedding": {"pooling": "cls"}}})
        FakeKubelet(namespace).finish("fetch", fetched(SPACE_B))
        refused = namespace.wait_for_model("minilm", "VectorSpaceStable", "False", reason="VectorSpaceChangeRefused")
        assert reasons_of(refused, "Available") == [("True", "ReplicasReady")]

        namespace.patch("embeddingmodel", "minilm", {"spec": {"embedding": None}})
        namespace.wait_ready("minilm")
        same = namespace.deployment_of("minilm") or {}
        assert same["metadata"]["uid"] == deployment["metadata"]["uid"]
        assert same["metadata"]["generation"] == deployment["metadata"]["generation"]


def test_a_pod_template_that_is_refused_leaves_the_old_version_serving(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path, namespace.namespace):
        serve(namespace, "minilm")
        deployment = namespace.deployment_of("minilm") or {}
        impossible = [{"key": "a", "operator": "Exists", "value": "b"}]

        namespace.patch("embeddingmodel", "minilm", {"spec": {"podTemplate": {"tolerations": impossible}}})

        refused = namespace.wait_for_model("minilm", "Ready", "False", reason="PodTemplateInvalid")
        assert "tolerations" in (condition_in(refused, "Ready") or {})["message"]
        assert reasons_of(refused, "Available") == [("True", "ReplicasReady")]
        same = namespace.deployment_of("minilm") or {}
        assert same["metadata"]["generation"] == deployment["metadata"]["generation"]


def test_a_stranger_s_service_is_left_alone_until_it_goes(namespace: Kubectl, tmp_path: Path) -> None:
    theirs = {"ports": [{"port": 1234}], "selector": {"app": "theirs"}}
    metadata = {"name": "taken", "namespace": namespace.namespace}
    namespace.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": theirs})
    with running(tmp_path, namespace.namespace):
        namespace.apply(unscheduled("taken", namespace.namespace))
        failed = namespace.wait_for_condition("taken", "Ready", "False", reason="NameConflict")
        assert "taken" in failed["message"]
        assert (namespace.get("service", "taken") or {})["spec"]["selector"] == {"app": "theirs"}

        namespace.delete("service", "taken")

        kubelet = FakeKubelet(namespace)
        build(kubelet)
        kubelet.ready("taken")
        namespace.wait_ready("taken")
        assert (namespace.get("service", "taken") or {})["spec"]["selector"]["embedplane.io/model"] == "taken"


def test_two_models_share_one_build(namespace: Kubectl, tmp_path: Path) -> None:
    kubelet = FakeKubelet(namespace)
    with running(tmp_path, namespace.namespace):
        namespace.apply(unscheduled("first", namespace.namespace))
        kubelet.finish("fetch", fetched(exportKeys={"openvino": "x" * 64}))
        kubelet.job("build")
        namespace.apply(unscheduled("second", namespace.namespace))
        kubelet.finish("fetch", fetched(exportKeys={"openvino": "x" * 64}))
        wait_for(
            "both own the build",
            lambda: (
                {owner["name"] for owner in kubelet.job("build")["metadata"]["ownerReferences"]} == {"first", "second"}
            ),
        )

        namespace.delete("embeddingmodel", "first")
        kubelet.finish("build", ENGINE)

        wait_for("the second is deployed", lambda: namespace.deployment_of("second"))


def test_own_texts_are_asked_for_and_proven_again_when_they_change(namespace: Kubectl, tmp_path: Path) -> None:
    def texts(*lines: str) -> Manifest:
        metadata = {"name": "queries", "namespace": namespace.namespace}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a.txt": "\n".join(lines)}}

    def prove(key: str, own_texts: int) -> Manifest:
        kubelet.finish("fetch", fetched(exportKeys={"openvino": "x" * 64}))
        kubelet.finish("build", {**ENGINE, "key": key, "conformance": {**ENGINE["conformance"], "ownTexts": own_texts}})
        wait_for(f"servers of {key} are wanted", lambda: key in json.dumps(namespace.deployment_of("minilm")))
        kubelet.ready("minilm")
        engine: Manifest = namespace.wait_ready("minilm")["status"]["engine"]
        return engine

    kubelet = FakeKubelet(namespace)
    conformance = {"textsFrom": {"configMapRef": {"name": "queries"}}}
    with running(tmp_path, namespace.namespace):
        namespace.apply(unscheduled("minilm", namespace.namespace, engine={"conformance": conformance}))
        kubelet.finish("fetch", fetched())
        missing = namespace.wait_for_condition("minilm", "EngineReady", "False", reason="ConfigMapNotFound")
        assert "ConfigMap queries does not exist" in missing["message"]

        namespace.apply(texts("one", "two"))
        assert prove("engine-1", 2)["conformance"]["ownTexts"] == 2

        namespace.apply(texts("one", "two", "three"))
        kubelet.job("fetch")
        serving = namespace.get("embeddingmodel", "minilm") or {}
        assert serving["status"]["engine"]["key"] == "engine-1"
        second = prove("engine-2", 3)
        assert (second["key"], second["conformance"]["ownTexts"]) == ("engine-2", 3)
