"""Several accelerator profiles against a real scheduler: what it calls unschedulable is what brings the next one."""

from pathlib import Path

import pytest
import yaml

from tests.support.fake_kubelet import FakeKubelet, unscheduled
from tests.support.kubectl import Kubectl, Manifest
from tests.support.operator_process import running
from tests.support.pools import POOLS, nodes_of
from tests.support.rendering import ROOT
from tests.support.waiting import wait_for
from tests.support.world import ENGINE, fetched

pytestmark = pytest.mark.cluster

CHARTS_OWN = yaml.safe_load((ROOT / "charts" / "embedplane" / "values.yaml").read_text())["acceleratorProfiles"]
EXPORTED = fetched(exportKeys={"onnx": "x" * 64})
PATIENT, HASTY = ({"spec": {"accelerator": {"fallbackAfter": time}}} for time in ("1h", "2s"))


def wait_for_profile(namespace: Kubectl, profile: str) -> None:
    """Wait until a profile is in use, and the fetch that asks for its engine is known to wait for a node."""

    def look() -> bool:
        model = namespace.get("embeddingmodel", "minilm") or {}
        return bool((model.get("status") or {}).get("accelerator", {}).get("profile") == profile)

    wait_for(f"{profile} is in use", look)
    namespace.wait_for_condition("minilm", "SourceResolved", "False", reason="NoMatchingNode")


def edit(namespace: Kubectl, change: Manifest) -> None:
    """Changes the spec; when it was acted on, Jobs that had not begun have been started anew."""
    namespace.patch("embeddingmodel", "minilm", change)

    def is_seen() -> bool:
        model = namespace.get("embeddingmodel", "minilm") or {}
        return bool(model["status"]["observedGeneration"] == model["metadata"]["generation"])

    wait_for("the edit is acted on", is_seen)


def build_on(namespace: Kubectl, kubelet: FakeKubelet, profile: str) -> None:
    kubelet.finish("fetch", EXPORTED)
    product = POOLS[profile]["nodeSelector"]["nvidia.com/gpu.product"]

    def is_there() -> bool:
        return nodes_of(kubelet.job("build")).get("nvidia.com/gpu.product") == product

    wait_for(f"the build is on {profile}", is_there)
    kubelet.finish("build", ENGINE | {"key": profile, "backend": "tensorrt"})


def test_a_build_and_then_servers_without_room_go_from_pool_to_pool(namespace: Kubectl, tmp_path: Path) -> None:
    kubelet = FakeKubelet(namespace)
    accelerator = {"profiles": ["l4", "a10g", "t4"], "fallbackAfter": "2s"}
    with running(tmp_path, namespace.namespace, acceleratorProfiles=POOLS):
        namespace.apply(unscheduled("minilm", namespace.namespace, accelerator=accelerator))
        kubelet.finish("fetch", EXPORTED)
        wait_for_profile(namespace, "a10g")

        edit(namespace, PATIENT)
        build_on(namespace, kubelet, "a10g")
        namespace.wait_for_condition("minilm", "Available", "False", reason="NoMatchingNode")
        edit(namespace, HASTY)
        wait_for_profile(namespace, "t4")

        edit(namespace, PATIENT)
        build_on(namespace, kubelet, "t4")

        def is_on_t4() -> bool:
            deployment = namespace.deployment_of("minilm")
            return deployment is not None and nodes_of(deployment)["nvidia.com/gpu.product"] == "Tesla-T4"

        wait_for("servers are wanted on t4", is_on_t4)
        kubelet.ready("minilm")
        status = namespace.wait_ready("minilm")["status"]
        assert status["engine"]["key"] == "t4"
        assert status["accelerator"]["reason"].startswith("a10g had no room for 2s: ")
        events = namespace.wait_for_events("AcceleratorChosen", "Serving")  # the last one of them all
        chosen = [each for each in events if each["reason"] == "AcceleratorChosen"]
        assert sorted(each["note"].partition(" ")[0] for each in chosen) == ["a10g", "t4"]


def test_a_profile_without_a_node_is_named_with_its_labels_and_the_scheduler_s_words(
    namespace: Kubectl, tmp_path: Path
) -> None:
    profile = "nvidia-l4-karpenter"
    with running(tmp_path, namespace.namespace, acceleratorProfiles=CHARTS_OWN):
        namespace.apply(unscheduled("no-node", namespace.namespace, accelerator={"profile": profile}))
        FakeKubelet(namespace).finish("fetch", EXPORTED)

        failed = namespace.wait_for_condition("no-node", "EngineReady", "False", reason="NoMatchingNode")

        for words in ("nodes are available", profile, "karpenter.k8s.aws/instance-gpu-name=l4"):
            assert words in failed["message"]
        namespace.wait_for_events("NoMatchingNode")
