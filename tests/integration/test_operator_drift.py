"""A source that moves, against a real API server; the pods that look are played."""

from pathlib import Path

import pytest

from tests.integration.test_operator_way import serve
from tests.support.fake_kubelet import FakeKubelet
from tests.support.kubectl import Kubectl, Manifest, reasons_of
from tests.support.operator_process import running
from tests.support.waiting import wait_for
from tests.support.world import SPACE_B, fetched

pytestmark = pytest.mark.cluster

HUB = {"repo": "acme/embed", "revision": "main"}
PINNED, MOVED = "c" * 40, "2" * 40


def wished_for(namespace: Kubectl) -> tuple[int, Manifest, Manifest]:
    """What the Deployment is to be; who owns which field of it, and how far it is, may change at any time."""
    deployment = namespace.deployment_of("minilm")
    assert deployment is not None
    metadata = deployment["metadata"]
    return metadata["generation"], metadata["annotations"], deployment["spec"]


def test_drift_is_told_and_nothing_moves_until_the_user_says_so(namespace: Kubectl, tmp_path: Path) -> None:
    kubelet = FakeKubelet(namespace)
    with running(tmp_path, namespace.namespace):
        serve(namespace, "minilm", source={"huggingFace": HUB, "driftCheckInterval": "24h"})
        before = wished_for(namespace)
        kubelet.finish("resolve", {"commit": MOVED})
        told = namespace.wait_for_condition("minilm", "SourceDrifted", "True", reason="UpstreamMoved")
        assert MOVED in told["message"]
        assert PINNED in told["message"]
        assert wished_for(namespace) == before
        namespace.wait_for_events("UpstreamMoved")

        namespace.run("annotate", "embeddingmodel", "minilm", "embedplane.io/resolve=again")
        kubelet.finish("fetch", fetched(SPACE_B, commit=MOVED))
        refused = namespace.wait_for_model("minilm", "VectorSpaceStable", "False", reason="VectorSpaceChangeRefused")
        assert reasons_of(refused, "SourceDrifted") == [("True", "UpstreamMoved")]
        assert wished_for(namespace) == before

        namespace.run("annotate", "embeddingmodel", "minilm", "embedplane.io/resolve=once-more", "--overwrite")
        kubelet.finish("fetch", fetched(commit=MOVED))
        moved = namespace.wait_ready("minilm")
        assert moved["status"]["source"]["commit"] == MOVED
        kubelet.finish("resolve", {"commit": MOVED})
        wait_for("drift is over", lambda: namespace.condition("minilm", "SourceDrifted") is None)


def test_a_source_that_cannot_be_asked_leaves_the_model_ready(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path, namespace.namespace):
        serve(namespace, "minilm", source={"huggingFace": HUB, "driftCheckInterval": "24h"})
        namespace.wait_for_condition("minilm", "SourceDrifted", "Unknown", reason="NoMatchingNode")

        FakeKubelet(namespace).fail("resolve", "HubUnavailable", "the hub cannot be used.", exit_code=65)

        model = namespace.wait_for_model("minilm", "SourceDrifted", "Unknown", reason="HubUnavailable")
        assert reasons_of(model, "Ready") == [("True", "Serving")]
