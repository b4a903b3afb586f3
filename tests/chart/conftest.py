"""The chart, rendered by the real helm."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.api_server import serving

CHART = Path(__file__).parents[2] / "charts" / "embedplane"
Manifest = dict[str, Any]
EVERYTHING: dict[str, Any] = {
    "installation": "blue",
    "watchNamespaces": ["search", "ads"],
    "images": {
        "registry": "registry.example.com/ai/",
        "pullSecrets": ["pull"],
        "server": {"digest": "sha256:" + "a" * 64},
        "exporter": {"tag": "edge"},
    },
    "hub": {"endpoint": "http://hub.example.com:8089"},
    "store": {"accessMode": "ReadWriteOnce", "storageClassName": "fast", "size": "20Gi"},
    "prometheus": {
        "url": "https://prometheus.example.com",
        "caConfigMap": {"name": "ca"},
        "bearerTokenSecret": {"name": "token"},
        "headers": {"X-Scope-OrgID": "blue"},
        "matchers": ['cluster="eu-1"'],
        "labels": {"namespace": "exported_namespace"},
    },
    "podSecurity": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
    "networkPolicy": {
        "fetchEgress": [{"to": [{"ipBlock": {"cidr": "198.18.0.0/15"}}]}],
        "telemetryEgress": [{"ports": [{"protocol": "TCP", "port": 4318}]}],
    },
    "jobs": {"maxConcurrentBuilds": 2},
    "scrapeAnnotations": False,
    "podMonitor": {"enabled": True, "labels": {"release": "monitoring"}},
    "operator": {
        "labels": {"team": "ai"},
        "annotations": {"note": "x"},
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "priorityClassName": "high",
    },
}
"""Values that set what can be set."""


@dataclass(frozen=True)
class Rendered:
    """What helm would apply."""

    manifests: list[Manifest]

    def of_kind(self, kind: str) -> list[Manifest]:
        return [each for each in self.manifests if each["kind"] == kind]

    def the(self, kind: str, ending: str = "") -> Manifest:
        """Return the only object of a kind, or the only one whose name ends like this."""
        found = [each for each in self.of_kind(kind) if each["metadata"]["name"].endswith(ending)]
        assert len(found) == 1, [each["metadata"]["name"] for each in found]
        return found[0]

    @property
    def settings(self) -> dict[str, Any]:
        """The operator's settings file."""
        document: dict[str, Any] = yaml.safe_load(self.the("ConfigMap")["data"]["config.yaml"])
        return document


class Helm:
    """helm with the chart; a refusal is an AssertionError with helm's words."""

    def run(self, *arguments: str, values: dict[str, Any] | None = None) -> str:
        command = ["helm", *arguments, *(["--values", "-"] if values is not None else [])]
        done = subprocess.run(
            command, input=json.dumps(values or {}), capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def beside(self, others: Sequence[Manifest], *options: str, release: str = "embedplane", **values: Any) -> Rendered:
        """Render for a cluster in which these objects are."""
        with serving(others) as url:
            looking = ("--dry-run=server", "--disable-openapi-validation", f"--kube-apiserver={url}")
            return self.template(*looking, *options, release=release, **values)

    def template(self, *options: str, release: str = "embedplane", **values: Any) -> Rendered:
        printed = self.run("template", release, str(CHART), "--namespace", "embedplane-system", *options, values=values)
        return Rendered([each for each in yaml.safe_load_all(printed) if each])


@pytest.fixture(scope="session")
def helm() -> Helm:
    assert shutil.which("helm"), "helm is not on the PATH: run make test, or add Embedplane's cache (bin) to the PATH"
    return Helm()


@pytest.fixture(scope="session")
def default(helm: Helm) -> Rendered:
    return helm.template()


@pytest.fixture(scope="session")
def everything(helm: Helm) -> Rendered:
    return helm.template(**EVERYTHING)


def pod_of(rendered: Rendered) -> dict[str, Any]:
    spec: dict[str, Any] = rendered.the("Deployment")["spec"]["template"]["spec"]
    return spec


def names_of(rendered: Rendered, kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in rendered.of_kind(kind)}
