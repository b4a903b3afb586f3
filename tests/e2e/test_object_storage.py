"""A real S3 server on this machine, as source and as store of pods in the cluster."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import yaml

from tests.support.hub import HOST
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.object_storage import CREDENTIALS, ObjectStorage, running_object_storage
from tests.support.reference import cosines, minilm_folder, reference_model
from tests.support.servers import ready_servers
from tests.support.serving import client_of

pytestmark = pytest.mark.cluster

EXAMPLE = Path(__file__).parents[2] / "examples" / "minilm-bucket.yaml"
TEXTS = ["when do I get my money back?", "Refunds reach your card within ten days.", "résumé 履歴書", "a"]
WRONG = CREDENTIALS | {"AWS_SECRET_ACCESS_KEY": "wrong"}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    with running_object_storage(tmp_path_factory.mktemp("s3"), HOST) as started:
        started.bucket("models")
        started.upload("models", "all-MiniLM-L6-v2", minilm_folder())
        started.bucket("artifacts")
        yield started


@pytest.fixture(scope="module")
def remote_store(storage: ObjectStorage, installation: Installation) -> Iterator[None]:
    """The chart with object storage as its store."""
    store = {
        "url": "s3://artifacts/embedplane",
        "endpoint": storage.endpoint,
        "secrets": {"jobs": "store-writer", "servers": "store-reader"},
    }
    port = urlsplit(storage.endpoint).port
    egress = [{"to": [{"ipBlock": {"cidr": f"{HOST}/32"}}], "ports": [{"protocol": "TCP", "port": port}]}]
    with installation.changed({"store": store, "networkPolicy": {"storeEgress": egress}}):
        yield


def secret(namespace: Kubectl, name: str, content: dict[str, str]) -> None:
    namespace.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": content})


def service(namespace: Kubectl, name: str, endpoint: str) -> None:
    """Let pods of the namespace reach the S3 server as `http://<name>:9000`."""
    ports = [{"name": "s3", "port": 9000, "protocol": "TCP"}]
    spec: dict[str, Any] = {"ports": ports}
    namespace.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
    labels = {"kubernetes.io/service-name": name}
    namespace.apply(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [HOST], "conditions": {"ready": True}}],
            "ports": [{"name": "s3", "port": urlsplit(endpoint).port, "protocol": "TCP"}],
        }
    )


def vectors(url: str, model: str) -> np.ndarray:
    answer = httpx.post(f"{url}/v1/embeddings", json={"model": model, "input": TEXTS}, timeout=60).raise_for_status()
    return np.array([row["embedding"] for row in answer.json()["data"]], dtype=np.float32)


@pytest.mark.usefixtures("remote_store")
def test_a_model_of_a_bucket_is_served_by_two_replicas_from_a_remote_store(namespace: Kubectl, storage: ObjectStorage):
    for name in ("store-writer", "store-reader"):
        secret(namespace, name, CREDENTIALS)
    secret(namespace, "models-reader", WRONG)
    service(namespace, "object-storage", storage.endpoint)
    namespace.apply(yaml.safe_load(EXAMPLE.read_text()))

    refused = namespace.wait_for_condition("minilm-bucket", "SourceResolved", "False", reason="AccessDenied")
    assert "SignatureDoesNotMatch" in refused["message"]
    assert "source.objectStorage.credentialsSecretRef" in refused["message"]

    secret(namespace, "models-reader", CREDENTIALS)
    model = namespace.wait_ready("minilm-bucket")

    assert model["status"]["source"]["commit"].startswith("etags:")
    namespace.wait_for_replicas("minilm-bucket", 2)
    servers = ready_servers(namespace, "minilm-bucket")
    found = [vectors(f"http://{pod['status']['podIP']}:8080", "minilm-bucket") for pod in servers]
    assert len(found) == 2
    assert np.array_equal(found[0], found[1])
    assert cosines(found[0], reference_model().encode(TEXTS, convert_to_numpy=True)).min() >= 0.999
    assert client_of(namespace, "minilm-bucket").embeddings.create(model="minilm-bucket", input="hello").data

    assert namespace.list("persistentvolumeclaims") == []
    kept = storage.folder / "buckets" / "artifacts" / "embedplane" / namespace.namespace
    assert {path.name for path in kept.iterdir()} == {"engines", "exports", "models", "sources", "uses"}


@pytest.mark.usefixtures("remote_store")
def test_wrong_credentials_of_the_store_are_named(namespace: Kubectl):
    secret(namespace, "store-writer", WRONG)
    secret(namespace, "store-reader", CREDENTIALS)
    namespace.apply(embedding_model("locked-out", namespace.namespace))

    refused = namespace.wait_for_condition("locked-out", "SourceResolved", "False", reason="StoreUnavailable")

    assert "SignatureDoesNotMatch" in refused["message"]
    assert "store.secrets" in refused["message"]

    secret(namespace, "store-writer", CREDENTIALS)

    namespace.wait_for_condition("locked-out", "SourceResolved", "True")


@pytest.mark.usefixtures("remote_store")
def test_a_missing_secret_of_the_store_is_named(namespace: Kubectl):
    namespace.apply(embedding_model("keyless", namespace.namespace))

    refused = namespace.wait_for_condition("keyless", "SourceResolved", "False", reason="SecretNotFound")

    assert "store-writer" in refused["message"]
