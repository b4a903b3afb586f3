"""An engine in the store that is not what was published: damaged, given away only by its vectors, and gone.

The tests follow one model: each does something to its engine, and leaves it ready again.
"""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import create_namespace, delete_namespace
from tests.support.claims import opened
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.servers import end_servers
from tests.support.serving import client_of
from tests.support.waiting import wait_for

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


@pytest.fixture(scope="module")
def served(installation: Installation) -> Iterator[Kubectl]:
    """A namespace of its own, with one model."""
    namespace = create_namespace()
    namespace.apply(embedding_model("hurt", namespace.namespace))
    namespace.wait_ready("hurt")
    yield namespace
    delete_namespace(namespace)


def test_an_engine_that_is_damaged_in_the_store_is_set_aside_and_built_again(
    served: Kubectl, installation: Installation
):
    before = served.wait_ready("hurt")

    with opened(served, "embedplane-store", installation.server_image) as store:
        store.run("sh", "-c", WRITE_OVER)
    end_servers(served, "hurt")

    said = served.wait_for_condition("hurt", "Available", "False", reason="EngineCorrupt")
    assert "model.bin is missing or differs from its digest" in said["message"]
    after = served.wait_ready("hurt")
    assert after["status"]["vectorSpace"] == before["status"]["vectorSpace"]
    (aside,) = after["status"]["engine"]["setAside"]
    assert aside["entry"].startswith(f"engines/{before['status']['engine']['key']}/")

    def is_told() -> bool:
        events = served.list("events.events.k8s.io")
        return any(event["reason"] == "Published" and aside["place"] in event["note"] for event in events)

    wait_for("an Event says where the damaged engine is", is_told)
    with opened(served, "embedplane-store", installation.server_image) as store:
        store.run("sh", "-c", f"test -f /data/{aside['place']}/{aside['entry']}/manifest.json")
    assert client_of(served, "hurt").embeddings.create(model="hurt", input="hello").data


def test_an_engine_that_only_its_vectors_give_away_is_drift_until_a_server_passes_its_check(
    served: Kubectl, installation: Installation
):
    served.wait_ready("hurt")

    with opened(served, "embedplane-store", installation.server_image) as store:
        store.run("python", "-c", SPOIL)
        end_servers(served, "hurt")

        drift = served.wait_for_condition("hurt", "VectorDrift", "True", reason="VectorDrift")
        assert "pod hurt-" in drift["message"]
        assert "below the floor 0.999" in drift["message"]
        served.wait_for_condition("hurt", "Ready", "False", reason="VectorDrift")
        store.run("python", "-c", MEND)

    after = served.wait_ready("hurt")
    assert "VectorDrift" not in {condition["type"] for condition in after["status"]["conditions"]}
    events = served.wait_for_events("VectorDrift")
    assert any((event["type"], event["reason"]) == ("Warning", "VectorDrift") for event in events)
    assert client_of(served, "hurt").embeddings.create(model="hurt", input="hello").data


def test_a_store_that_was_emptied_is_filled_again(served: Kubectl, installation: Installation):
    before = served.wait_ready("hurt")

    with opened(served, "embedplane-store", installation.server_image) as store:
        store.run("sh", "-c", "rm -rf /data/*")
    end_servers(served, "hurt")

    served.wait_for_condition("hurt", "Available", "False", reason="EngineMissing")
    after = served.wait_ready("hurt")
    assert after["status"]["vectorSpace"] == before["status"]["vectorSpace"]
    assert client_of(served, "hurt").embeddings.create(model="hurt", input="hello").data
