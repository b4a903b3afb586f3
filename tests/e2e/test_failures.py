"""Each failure has its own reason and a message to act on; what is transient recovers by itself."""

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import HOST, Hub, running_hub
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl, condition_in, reasons_of
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
    shared: Kubectl, hub: Hub, source: dict[str, Any], reason: str, words: str
):
    name = f"broken-{reason.lower()}"
    shared.apply(embedding_model(name, shared.namespace, **source))

    failed = shared.wait_for_model(name, "SourceResolved", "False", reason=reason)

    assert words in (condition_in(failed, "SourceResolved") or {})["message"]
    assert reasons_of(failed, "Ready") == [("False", reason)]


def test_a_missing_secret_is_named_and_a_repaired_one_used_at_once(shared: Kubectl, hub: Hub):
    token = {"name": "hub-token"}
    shared.apply(embedding_model("gated", shared.namespace, **hub_source("tests/gated", tokenSecretRef=token)))
    missing = shared.wait_for_condition("gated", "SourceResolved", "False", reason="SecretNotFound")
    assert "hub-token" in missing["message"]

    shared.apply(secret("hub-token", shared.namespace, "wrong"))
    shared.wait_for_condition("gated", "SourceResolved", "False", reason="AccessDenied")  # the next try: in an hour

    shared.apply(secret("hub-token", shared.namespace, hub.token))

    shared.wait_for_condition("gated", "SourceResolved", "True")


def test_an_engine_below_the_cosine_floor_is_not_published(namespace: Kubectl):
    engine = {"precision": "bfloat16", "conformance": {"minimumCosine": 1.0}}
    namespace.apply(embedding_model("strict", namespace.namespace, engine=engine))

    failed = namespace.wait_for_condition("strict", "EngineReady", "False", reason="ConformanceFailed")

    assert "minimumCosine" in failed["message"]
    assert namespace.list("deployments", "embedplane.io/model=strict") == []


def test_an_unknown_accelerator_lists_the_known_ones(shared: Kubectl):
    shared.apply(embedding_model("unknown", shared.namespace, accelerator={"profile": "abacus"}))

    failed = shared.wait_for_model("unknown", "Stalled", "True", reason="UnknownAccelerator")

    assert "nvidia-l4" in (condition_in(failed, "Ready") or {})["message"]
    assert reasons_of(failed, "Ready") == [("False", "UnknownAccelerator")]


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


def test_an_image_that_cannot_be_pulled_shows_the_kubelet_s_words(namespace: Kubectl, installation: Installation):
    with installation.changed({"images": {"server": {"repository": "198.18.0.11:5000/no-such-image"}}}):
        namespace.apply(embedding_model("imageless", namespace.namespace))

        failed = namespace.wait_for_condition("imageless", "SourceResolved", "False", reason="ImagePullFailed")

        assert "no-such-image" in failed["message"]
    namespace.wait_for_condition("imageless", "SourceResolved", "True")


def test_a_claim_that_cannot_bind_is_named(namespace: Kubectl, installation: Installation):
    with installation.changed({"store": {"storageClassName": "no-such-class"}}):
        namespace.apply(embedding_model("unbound", namespace.namespace))

        failed = namespace.wait_for_condition("unbound", "SourceResolved", "False", reason="ClaimPending")

        assert "embedplane-store" in failed["message"]
        assert "no-such-class" in failed["message"]


def test_failing_models_keep_no_other_from_working_and_a_hub_that_comes_back_is_used(shared: Kubectl, tmp_path: Path):
    port = free_port(HOST)
    away = hub_source("sentence-transformers/all-MiniLM-L6-v2", endpoint=f"http://{HOST}:{port}")
    shared.apply(embedding_model("bad", shared.namespace, **hub_source("nobody/nothing")))
    shared.apply(embedding_model("patient", shared.namespace, **away))
    # a space of its own, so that it takes all steps
    shared.apply(embedding_model("good", shared.namespace, embedding={"maxSequenceLength": 64}))

    shared.wait_ready("good")

    shared.wait_for_condition("bad", "SourceResolved", "False", reason="RepositoryNotFound")
    shared.wait_for_condition("patient", "SourceResolved", "False", reason="HubUnavailable")
    with running_hub(tmp_path, port):
        shared.wait_for_condition("patient", "SourceResolved", "True")
