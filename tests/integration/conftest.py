"""A real API server with the CRD, and a namespace for each test."""

import os
import uuid
from collections.abc import Iterator
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
    Kubectl().run("wait", "--for=condition=Established", "crd/embeddingmodels.embedplane.io", "--timeout=30s")
    return CRD


@pytest.fixture
def namespace(crd: Path) -> Iterator[Kubectl]:
    """kubectl bound to a new namespace that enforces the restricted Pod Security level."""
    name = f"api-{uuid.uuid4().hex[:8]}"
    Kubectl().run("create", "namespace", name)
    Kubectl().run("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield Kubectl(name)
    Kubectl().run("delete", "namespace", name, "--wait=false")
