"""The store of a namespace after a model is gone: what only that one used is removed, all else serves on."""

from collections.abc import Iterator

import pytest

from tests.support.claims import OpenClaim, opened
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.servers import end_servers, wait_for_other_servers
from tests.support.serving import client_of
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster

GRACE = 20
QUICK = {"drainDelaySeconds": 1}


@pytest.fixture
def tidy(installation: Installation) -> Iterator[None]:
    with installation.changed({"storeCollection": {"enabled": True, "intervalSeconds": 15, "graceSeconds": GRACE}}):
        yield


def files(store: OpenClaim) -> str:
    """The paths of all files of models, exports and engines."""
    return store.read("sh", "-c", "cd /data && find models exports engines -type f 2>/dev/null || true")


def exports(store: OpenClaim) -> set[str]:
    return {path.split("/")[1] for path in files(store).split() if path.startswith("exports/")}


def test_what_only_a_deleted_model_used_is_removed_and_the_other_one_starts_again(
    namespace: Kubectl, installation: Installation, tidy: None
):
    namespace.apply(embedding_model("kept", namespace.namespace, serving=QUICK))
    namespace.apply(embedding_model("gone", namespace.namespace, serving=QUICK, embedding={"pooling": "cls"}))
    kept, gone = (namespace.wait_ready(name)["status"] for name in ("kept", "gone"))
    assert gone["engine"]["key"] != kept["engine"]["key"]

    namespace.delete("embeddingmodel", "gone")

    with opened(namespace, "embedplane-store", installation.server_image) as store:
        wait_for("the engine is removed", lambda: gone["engine"]["key"] not in files(store), pause=2)
        wait_for("one export is left", lambda: len(exports(store)) == 1, pause=2)
        assert kept["engine"]["key"] in files(store)
        assert kept["source"]["digest"] in files(store)

    wait_for_other_servers(namespace, "kept", end_servers(namespace, "kept"))
    after = namespace.wait_ready("kept")["status"]
    assert after["engine"] == kept["engine"]
    assert not namespace.list("jobs", "app.kubernetes.io/component in (fetch,export,build)")
    assert client_of(namespace, "kept").embeddings.create(model="kept", input="still here").data

    namespace.delete("embeddingmodel", "kept")
    with opened(namespace, "embedplane-store", installation.server_image) as store:
        wait_for("nothing is left", lambda: not files(store), pause=2)
    assert namespace.get("persistentvolumeclaim", "embedplane-store")
