"""The chart and a CRD that is there already: left alone while it is the same, never replaced behind anyone's back."""

import subprocess
from pathlib import Path

import pytest

from tests.support.kubectl import Kubectl
from tests.support.rendering import ROOT

pytestmark = pytest.mark.cluster

CRD = "customresourcedefinition/embeddingmodels.embedplane.io"


def install(*options: str) -> subprocess.CompletedProcess[str]:
    chart = str(ROOT / "charts" / "embedplane")
    # a namespace of its own: a release over all namespaces may be there already
    own = ("--set", "watchNamespaces={default}")
    command = ["helm", "install", "another", chart, "--dry-run=server", *own, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_another_release_leaves_the_same_crd_alone(crd: Path) -> None:
    done = install("--namespace", "default")

    assert done.returncode == 0, done.stderr
    assert "kind: CustomResourceDefinition" not in done.stdout
    assert "kind: Deployment" in done.stdout


def test_another_release_does_not_run_with_another_crd(crd: Path) -> None:
    kubectl = Kubectl()
    kubectl.run("annotate", CRD, "embedplane.io/content=older", "--overwrite")
    try:
        refused, allowed = install(), install("--set", "crds.enabled=false")
    finally:
        kubectl.run("apply", "--server-side", "--force-conflicts", "-f", str(crd))

    assert "kubectl apply --server-side --force-conflicts -f crds/" in refused.stderr
    assert allowed.returncode == 0, allowed.stderr
