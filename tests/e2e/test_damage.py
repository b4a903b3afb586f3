"""Engines in the store that are not what was published: a damaged one, and one that only its vectors give away."""

import pytest

from tests.support.claims import opened
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.serving import client_of

pytestmark = pytest.mark.cluster

WRITE_OVER = "printf 'damaged, damaged' | dd of=$(ls /data/engines/*/*/files-*/model.bin) bs=1 seek=100000 conv=notrunc"
# The digests and the seal are made to fit the weights, as only an engine that was published wrong would have them.
SPOIL = """
import pathlib
from embedplane_server.store.entries import Entry, stored_files
(manifest,) = pathlib.Path("/data/engines").glob("*/*/manifest.json")
entry = Entry.model_validate_json(manifest.read_bytes())
weights = manifest.parent / entry.folder / "model.bin"
pathlib.Path("/data/kept-manifest").write_bytes(manifest.read_bytes())
pathlib.Path("/data/kept-weights").write_bytes(weights.read_bytes())
content = bytearray(weights.read_bytes())
start = len(content) * 3 // 4  # in the matrix of a layer
content[start : start + (4 << 20)] = bytes(4 << 20)
weights.unlink()  # a server that runs keeps the file that it has
weights.write_bytes(content)
files = stored_files(weights.parent, entry.files)
manifest.write_text(entry.model_copy(update={"files": files}).sealed().model_dump_json())
"""
MEND = """
import pathlib
(manifest,) = pathlib.Path("/data/engines").glob("*/*/manifest.json")
(weights,) = manifest.parent.glob("files-*/model.bin")
pathlib.Path("/data/kept-weights").replace(weights)
pathlib.Path("/data/kept-manifest").replace(manifest)
"""


def start_servers_anew(namespace: Kubectl, model: str) -> None:
    servers = f"embedplane.io/model={model},app.kubernetes.io/component=server"
    namespace.run("delete", "pods", "-l", servers, "--wait=false")


def test_an_engine_that_is_damaged_in_the_store_is_set_aside_and_built_again(
    namespace: Kubectl, installation: Installation
):
    namespace.apply(embedding_model("hurt", namespace.namespace))
    before = namespace.wait_ready("hurt")

    with opened(namespace, "embedplane-store", installation.server_image) as store:
        store.run("sh", "-c", WRITE_OVER)
    start_servers_anew(namespace, "hurt")

    said = namespace.wait_for_condition("hurt", "Available", "False", reason="EngineCorrupt")
    assert "model.bin is missing or differs from its digest" in said["message"]
    after = namespace.wait_ready("hurt")
    assert after["status"]["vectorSpace"] == before["status"]["vectorSpace"]
    (aside,) = after["status"]["engine"]["setAside"]
    assert aside["entry"].startswith(f"engines/{before['status']['engine']['key']}/")
    events = namespace.list("events.events.k8s.io")
    assert any(event["reason"] == "Published" and aside["place"] in event["note"] for event in events)
    with opened(namespace, "embedplane-store", installation.server_image) as store:
        store.run("sh", "-c", f"test -f /data/{aside['place']}/{aside['entry']}/manifest.json")
    assert client_of(namespace, "hurt").embeddings.create(model="hurt", input="hello").data


def test_an_engine_that_only_its_vectors_give_away_is_drift_until_a_server_passes_its_check(
    namespace: Kubectl, installation: Installation
):
    namespace.apply(embedding_model("spoilt", namespace.namespace))
    namespace.wait_ready("spoilt")

    with opened(namespace, "embedplane-store", installation.server_image) as store:
        store.run("python", "-c", SPOIL)
        start_servers_anew(namespace, "spoilt")

        drift = namespace.wait_for_condition("spoilt", "VectorDrift", "True", reason="VectorDrift")
        assert "pod spoilt-" in drift["message"]
        assert "below the floor 0.999" in drift["message"]
        namespace.wait_for_condition("spoilt", "Ready", "False", reason="VectorDrift")
        store.run("python", "-c", MEND)

    after = namespace.wait_ready("spoilt")
    assert "VectorDrift" not in {condition["type"] for condition in after["status"]["conditions"]}
    events = namespace.list("events.events.k8s.io")
    assert any((event["type"], event["reason"]) == ("Warning", "VectorDrift") for event in events)
    assert client_of(namespace, "spoilt").embeddings.create(model="spoilt", input="hello").data
