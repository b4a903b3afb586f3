"""A real API server with the CRD, and a namespace for each test."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.kubectl import Kubectl

CRD = Path(__file__).parents[2] / "crds" / "embeddingmodels.yaml"


@pytest.fixture(scope="session")
def kubeconfig() -> str:
    """The cluster's kubeconfig; the tests fail, rather than skip, without one."""
    path = os.environ.get("KUBECONFIG", "")
    assert path, "set KUBECONFIG to the cluster's kubeconfig (make test does)"
    return path


@pytest.fixture(scope="session")
def crd(kubeconfig: str) -> Path:
    """The CRD, applied and served."""
    Kubectl().run("apply", "--server-side", "--force-conflicts", "-f", str(CRD))
    name = "crd/embeddingmodels.embedplane.io"
    Kubectl().run("wait", "--for=condition=Established", name, "--timeout=120s", timeout=130)
    return CRD


@contextmanager
def new_namespace() -> Iterator[Kubectl]:
    """kubectl bound to a new namespace that enforces the restricted Pod Security level, for the length of a block."""
    name = f"api-{uuid.uuid4().hex[:8]}"
    metadata = {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    Kubectl().run(
        "create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    )
    yield Kubectl(name)
    Kubectl().run("delete", "namespace", name, "--wait=false")


@pytest.fixture
def namespace(crd: Path) -> Iterator[Kubectl]:
    """A namespace of the test's own."""
    with new_namespace() as kubectl:
        yield kubectl


@pytest.fixture(scope="session")
def empty_namespace(crd: Path) -> Iterator[Kubectl]:
    """A namespace that stays empty: for tests that only ask what the API server would do."""
    with new_namespace() as kubectl:
        yield kubectl
