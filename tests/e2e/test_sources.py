"""Models that come from a claim of the user's: no hub, no network."""

import io
import tarfile

import pytest

from tests.support.claims import opened
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.reference import minilm_folder
from tests.support.serving import client_of

pytestmark = pytest.mark.cluster

UNPACK = "import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode='r|').extractall('/data')"


def claim(namespace: Kubectl, name: str) -> None:
    resources = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": resources}
    metadata = {"name": name, "namespace": namespace.namespace}
    namespace.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})


def fill(namespace: Kubectl, claim_name: str, image: str, folder: str) -> None:
    """Put MiniLM into a folder of the claim."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(minilm_folder(), folder)
    with opened(namespace, claim_name, image) as data:
        data.run("python", "-c", UNPACK, stdin=archive.getvalue())


def test_a_model_of_a_claim_is_served_and_pinned_by_its_content(namespace: Kubectl, installation: Installation):
    claim(namespace, "weights")
    fill(namespace, "weights", installation.server_image, "minilm")
    source = {"persistentVolumeClaim": {"claimName": "weights", "path": "minilm"}}

    namespace.apply(embedding_model("offline", namespace.namespace, source=source))

    model = namespace.wait_ready("offline")
    assert model["status"]["source"]["commit"].startswith("sha256:")
    assert client_of(namespace, "offline").embeddings.create(model="offline", input="hello").data


def test_a_claim_or_path_that_is_not_there_is_named(namespace: Kubectl):
    missing = {"persistentVolumeClaim": {"claimName": "no-such-claim"}}
    namespace.apply(embedding_model("claimless", namespace.namespace, source=missing))

    failed = namespace.wait_for_condition("claimless", "SourceResolved", "False", reason="ClaimNotFound")

    assert "no-such-claim" in failed["message"]
    claim(namespace, "empty")
    wrong = {"persistentVolumeClaim": {"claimName": "empty", "path": "no/such/folder"}}
    namespace.apply(embedding_model("pathless", namespace.namespace, source=wrong))

    failed = namespace.wait_for_condition("pathless", "SourceResolved", "False", reason="PathNotFound")

    assert "no/such/folder" in failed["message"]
