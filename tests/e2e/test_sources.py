"""Models that come from a claim of the user's: no hub, no network."""

import io
import subprocess
import tarfile

import pytest

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
    """Put MiniLM into a folder of the claim, through a pod as a user would."""
    container = {
        "name": "fill",
        "image": image,
        "command": ["sleep", "infinity"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    security = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec = {
        "containers": [container],
        "securityContext": security,
        "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}],
    }
    namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fill"}, "spec": spec})
    namespace.run("wait", "pod/fill", "--for=condition=Ready", "--timeout=90s", timeout=100)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(minilm_folder(), folder)
    command = ["kubectl", "--namespace", namespace.namespace, "exec", "-i", "fill", "--", "python", "-c", UNPACK]
    subprocess.run(command, input=archive.getvalue(), check=True, timeout=120)
    namespace.delete("pod", "fill", "--wait=true")


def test_a_model_of_a_claim_is_served_and_pinned_by_its_content(namespace: Kubectl, installation: Installation):
    server = installation.values["images"]["server"]
    claim(namespace, "weights")
    fill(namespace, "weights", f"{server['repository']}:{server['tag']}", "minilm")
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
