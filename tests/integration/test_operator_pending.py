"""Why pods wait, from a real scheduler's conditions and real Events, and builds that wait for their turn."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.fake_kubelet import FakeKubelet, unscheduled
from tests.support.kubectl import Kubectl, Manifest
from tests.support.operator_process import running
from tests.support.waiting import wait_for
from tests.support.world import ENGINE, fetched

pytestmark = pytest.mark.cluster


def the_pod(namespace: Kubectl, step: str) -> Manifest:
    """The one pod of a step."""
    found = wait_for(f"a {step} pod", lambda: namespace.list("pods", f"app.kubernetes.io/component={step}"))
    return found[0]


def say(
    namespace: Kubectl, pod: Manifest, who: str, reason: str, message: str, *, container: str = "", ago: int = 0
) -> None:
    """An Event of the core API, as client-go's recorder writes it for autoscalers and kubelets."""
    moment = (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = pod["metadata"]
    about = {"apiVersion": "v1", "kind": "Pod", "fieldPath": f"spec.containers{{{container}}}" if container else ""}
    about |= {field: metadata[field] for field in ("name", "namespace", "uid")}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": "said-", "namespace": namespace.namespace},
        "type": "Normal",
        "reason": reason,
        "message": message,
        "involvedObject": about,
        "source": {"component": who},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
    namespace.run("create", "-f", "-", stdin=json.dumps(event))


def test_a_pod_without_a_node_is_explained_by_whoever_knows_most(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path, namespace.namespace):
        namespace.apply(unscheduled("minilm", namespace.namespace))
        alone = namespace.wait_for_condition("minilm", "SourceResolved", "False", reason="NoMatchingNode")
        assert "nodes are available" in alone["message"]
        assert "example.com/nowhere=true" in alone["message"]

        pod = the_pod(namespace, "fetch")
        note = "pod triggered scale-up: [{nowhere-pool 0->1 (max: 2)}]"
        say(namespace, pod, "cluster-autoscaler", "TriggeredScaleUp", note, ago=30)
        coming = namespace.wait_for_condition("minilm", "Ready", "False", reason="NodeProvisioning")
        assert f"cluster-autoscaler brings a node for pod {pod['metadata']['name']}" in coming["message"]
        assert note in coming["message"]

        note = "pod didn't trigger scale-up: 1 in backoff after failed scale-up"
        say(namespace, pod, "cluster-autoscaler", "NotTriggerScaleUp", note)
        refused = namespace.wait_for_condition("minilm", "Ready", "False", reason="ScaleUpRefused")
        assert note in refused["message"]
        reasons = ("NoMatchingNode", "NodeProvisioning", "ScaleUpRefused")
        namespace.wait_for_events(*reasons)
        told = namespace.run("describe", "embeddingmodel", "minilm").partition("\nEvents:")[2]
        assert [reason for reason in reasons if reason not in told] == []


def test_a_long_pull_is_told(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path, namespace.namespace):
        namespace.apply(unscheduled("minilm", namespace.namespace))
        # From here on the scheduler leaves the pod alone: it would say again that no node takes it.
        namespace.wait_for_condition("minilm", "SourceResolved", "False", reason="NoMatchingNode")
        pod = the_pod(namespace, "fetch")
        container = pod["spec"]["containers"][0]

        say(namespace, pod, "kubelet", "Pulling", "Pulling image", container=container["name"], ago=90)
        FakeKubelet(namespace).create_container(pod)

        pulling = namespace.wait_for_condition("minilm", "Ready", "False", reason="ImagePulling")
        assert container["image"] in pulling["message"]


def test_builds_beyond_the_bound_take_turns(namespace: Kubectl, tmp_path: Path) -> None:
    kubelet = FakeKubelet(namespace)
    with running(tmp_path, namespace.namespace, jobs={"maxConcurrentBuilds": 1}):
        for number, name in enumerate(("first", "second")):
            source = {"huggingFace": {"repo": f"acme/{name}", "revision": "main"}}
            namespace.apply(unscheduled(name, namespace.namespace, source=source))
            kubelet.finish("fetch", fetched(digest=str(number) * 64))
            kubelet.finish("export", {"exportKey": str(number) * 64, "texts": 64})
            kubelet.job("build")  # the first one's: that its export is over shows in nothing else
            reason = ("NoMatchingNode", "BuildWaiting")[number]
            waiting = namespace.wait_for_condition(name, "EngineReady", "False", reason=reason)
        assert "running: build-" in waiting["message"]
        assert "of first" in waiting["message"]
        assert len(namespace.list("jobs", "app.kubernetes.io/component=build")) == 1

        kubelet.finish("build", ENGINE)

        namespace.wait_for_condition("second", "EngineReady", "False", reason="NoMatchingNode")
        namespace.wait_for_condition("first", "EngineReady", "True")
