"""One installation of the chart for the whole run, a fresh namespace for each test."""

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import LocalCluster
from tests.support.hub import HOST, Hub, running_hub
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.ports import free_port


@pytest.fixture(scope="session")
def local_cluster() -> LocalCluster:
    return LocalCluster()


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hub"), free_port(HOST)) as started:
        yield started


@pytest.fixture(scope="session")
def installation(hub: Hub) -> Iterator[Installation]:
    values = json.loads(Path(os.environ["EMBEDPLANE_VALUES"]).read_text())  # written by `hack/demo/demo prepare`
    # Collections come by the clock; what they do is in test_housekeeping.py.
    values |= {"hub": {"endpoint": hub.endpoint}, "storeCollection": {"enabled": False}}
    installed = Installation("embedplane", "embedplane-system", values)
    installed.upgrade()
    yield installed
    installed.uninstall()


def create_namespace() -> Kubectl:
    """Create a namespace that enforces the restricted Pod Security level."""
    kubectl = Kubectl(f"test-{uuid.uuid4().hex[:8]}")
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "embedplane.io/tests": "e2e"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace, "labels": labels}})
    return kubectl


def delete_namespace(kubectl: Kubectl) -> None:
    kubectl.run("delete", "namespace", kubectl.namespace, "--wait=false")


@pytest.fixture(scope="session")
def shared_namespace(installation: Installation) -> Iterator[Kubectl]:
    kubectl = create_namespace()
    yield kubectl
    delete_namespace(kubectl)


@pytest.fixture
def shared(shared_namespace: Kubectl) -> Iterator[Kubectl]:
    """A namespace whose store keeps what earlier tests built; each test's models go with it."""
    yield shared_namespace
    shared_namespace.run("delete", "embeddingmodels", "--all", "--wait=false")


@pytest.fixture
def namespace(installation: Installation) -> Iterator[Kubectl]:
    """A namespace of the test's own, with an empty store."""
    kubectl = create_namespace()
    yield kubectl
    delete_namespace(kubectl)


@pytest.fixture
def other_namespace(installation: Installation) -> Iterator[Kubectl]:
    kubectl = create_namespace()
    yield kubectl
    delete_namespace(kubectl)
