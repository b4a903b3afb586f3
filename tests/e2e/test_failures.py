"""Each failure has its own reason and a message to act on; what is transient recovers by itself."""

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import HOST, Hub, running_hub
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.ports import free_port

pytestmark = pytest.mark.cluster


def secret(name: str, namespace: str, token: str) -> dict[str, Any]:
    encoded = base64.b64encode(token.encode()).decode()
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"token": encoded}}


def hub_source(repo: str, **more: Any) -> dict[str, Any]:
    return {"source": {"huggingFace": {"repo": repo, **more}}}


@pytest.mark.parametrize(
    ("source", "reason", "words"),
    [
        (hub_source("nobody/nothing"), "RepositoryNotFound", "nobody/nothing"),
        (hub_source("sentence-transformers/all-MiniLM-L6-v2", revision="v9"), "RevisionNotFound", "v9"),
        (hub_source("tests/pickle-only"), "NoSafetensors", "safetensors"),
        (hub_source("tests/unsupported"), "UnsupportedModel", "trust_remote_code"),
        (
            hub_source("sentence-transformers/all-MiniLM-L6-v2", endpoint="http://198.18.0.1:9"),
            "HubUnavailable",
            "198.18.0.1:9",
        ),
    ],
)
def test_a_source_that_cannot_be_fetched_says_why(
    namespace: Kubectl, hub: Hub, source: dict[str, Any], reason: str, words: str
):
    namespace.apply(embedding_model("broken", namespace.namespace, **source))

    failed = namespace.wait_for_condition("broken", "SourceResolved", "False", reason=reason)

    assert words in failed["message"]
    ready = namespace.condition("broken", "Ready")
    assert ready is not None
    assert (ready["status"], ready["reason"]) == ("False", reason)


def test_a_repaired_secret_is_used_at_once(namespace: Kubectl, hub: Hub):
    namespace.apply(secret("hub-token", namespace.namespace, "wrong"))
    token = {"name": "hub-token"}
    namespace.apply(embedding_model("gated", namespace.namespace, **hub_source("tests/gated", tokenSecretRef=token)))
    namespace.wait_for_condition("gated", "SourceResolved", "False", reason="AccessDenied")

    namespace.apply(secret("hub-token", namespace.namespace, hub.token))

    namespace.wait_for_condition("gated", "SourceResolved", "True", within=90)


def test_a_missing_secret_is_named(namespace: Kubectl, hub: Hub):
    token = {"name": "no-such-secret"}
    namespace.apply(
        embedding_model("tokenless", namespace.namespace, **hub_source("tests/gated", tokenSecretRef=token))
    )

    failed = namespace.wait_for_condition("tokenless", "SourceResolved", "False", reason="SecretNotFound")

    assert "no-such-secret" in failed["message"]


def test_an_engine_below_the_cosine_floor_is_not_published(namespace: Kubectl):
    engine = {"precision": "bfloat16", "conformance": {"minimumCosine": 1.0}}
    namespace.apply(embedding_model("strict", namespace.namespace, engine=engine))

    failed = namespace.wait_for_condition("strict", "EngineReady", "False", reason="ConformanceFailed", within=420)

    assert "minimumCosine" in failed["message"]
    assert namespace.list("deployments", "embedplane.io/model=strict") == []


def test_an_accelerator_without_a_node_is_named_with_its_labels_and_the_scheduler_s_words(namespace: Kubectl):
    namespace.apply(
        embedding_model("no-node", namespace.namespace, accelerator={"profile": "nvidia-l4-karpenter"}),
        "--validate=strict",
    )

    failed = namespace.wait_for_condition("no-node", "EngineReady", "False", reason="NoMatchingNode", within=420)

    for words in ("nodes are available", "nvidia-l4-karpenter", "karpenter.k8s.aws/instance-gpu-name=l4"):
        assert words in failed["message"]
    told = namespace.run("describe", "embeddingmodel", "no-node")
    assert "NoMatchingNode" in told.partition("\nEvents:")[2]


def test_an_unknown_accelerator_lists_the_known_ones(namespace: Kubectl):
    namespace.apply(embedding_model("unknown", namespace.namespace, accelerator={"profile": "abacus"}))

    failed = namespace.wait_for_condition("unknown", "Ready", "False", reason="UnknownAccelerator")

    assert "nvidia-l4" in failed["message"]
    assert namespace.condition("unknown", "Stalled") is not None


def test_a_quota_that_forbids_the_pod_is_quoted(namespace: Kubectl):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": namespace.namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    namespace.apply(quota)
    namespace.apply(embedding_model("crowded", namespace.namespace))
    failed = namespace.wait_for_condition("crowded", "SourceResolved", "False", reason="QuotaExceeded")
    assert "exceeded quota" in failed["message"]

    namespace.delete("resourcequota", "none")

    namespace.wait_for_condition("crowded", "SourceResolved", "True", within=240)


def test_an_admission_that_forbids_the_pod_is_quoted(namespace: Kubectl):
    minimum = {"type": "Container", "min": {"memory": "64Gi"}}
    limits = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "huge", "namespace": namespace.namespace},
        "spec": {"limits": [minimum]},
    }
    namespace.apply(limits)
    namespace.apply(embedding_model("forbidden", namespace.namespace))

    failed = namespace.wait_for_condition("forbidden", "SourceResolved", "False", reason="PodForbidden")

    assert "minimum memory usage per Container is 64Gi" in failed["message"]


def test_a_hub_that_comes_back_is_used_without_anyone_s_help(namespace: Kubectl, tmp_path: Path):
    port = free_port(HOST)
    endpoint = f"http://{HOST}:{port}"
    repo = "sentence-transformers/all-MiniLM-L6-v2"
    namespace.apply(embedding_model("patient", namespace.namespace, **hub_source(repo, endpoint=endpoint)))
    namespace.wait_for_condition("patient", "SourceResolved", "False", reason="HubUnavailable")

    with running_hub(tmp_path, port):
        namespace.wait_for_condition("patient", "SourceResolved", "True", within=240)


def test_a_stranger_s_object_of_our_name_is_left_alone(namespace: Kubectl):
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "taken", "namespace": namespace.namespace},
        "spec": {"ports": [{"port": 1234}], "selector": {"app": "theirs"}},
    }
    namespace.apply(service)
    namespace.apply(embedding_model("taken", namespace.namespace))

    failed = namespace.wait_for_condition("taken", "Ready", "False", reason="NameConflict", within=420)

    assert "taken" in failed["message"]
    theirs = namespace.get("service", "taken")
    assert theirs is not None
    assert theirs["spec"]["selector"] == {"app": "theirs"}

    namespace.delete("service", "taken")
    namespace.wait_ready("taken")


def test_an_image_that_cannot_be_pulled_shows_the_kubelet_s_words(namespace: Kubectl, installation: Installation):
    with installation.changed({"images": {"server": {"repository": "198.18.0.11:5000/no-such-image"}}}):
        namespace.apply(embedding_model("imageless", namespace.namespace))

        failed = namespace.wait_for_condition("imageless", "SourceResolved", "False", reason="ImagePullFailed")

        assert "no-such-image" in failed["message"]
    namespace.wait_for_condition("imageless", "SourceResolved", "True", within=240)


def test_a_claim_that_cannot_bind_is_named(namespace: Kubectl, installation: Installation):
    with installation.changed({"store": {"storageClassName": "no-such-class"}}):
        namespace.apply(embedding_model("unbound", namespace.namespace))

        failed = namespace.wait_for_condition("unbound", "SourceResolved", "False", reason="ClaimPending")

        assert "embedplane-store" in failed["message"]
        assert "no-such-class" in failed["message"]


def test_a_failing_model_keeps_no_other_from_working(namespace: Kubectl, hub: Hub):
    namespace.apply(embedding_model("bad", namespace.namespace, **hub_source("nobody/nothing")))
    namespace.apply(embedding_model("good", namespace.namespace))

    namespace.wait_ready("good")

    failed = namespace.condition("bad", "SourceResolved")
    assert failed is not None
    assert failed["reason"] == "RepositoryNotFound"
