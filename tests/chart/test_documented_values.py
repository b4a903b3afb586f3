"""The Helm values of docs/gpu.md: the chart takes them, and the operator reads what it makes of them."""

from typing import Any

import pytest

from embedplane_operator.render.accelerator import serving_image
from embedplane_operator.settings import Settings
from tests.chart.conftest import Helm
from tests.support.documented import embedding_models, values_files
from tests.support.rendering import model_of

VALUES = values_files("docs/gpu.md")


def test_each_cloud_has_values() -> None:
    assert sorted(VALUES) == ["values-aks.yaml", "values-eks.yaml", "values-gke.yaml"]


@pytest.mark.parametrize("name", VALUES)
def test_documented_values_install(helm: Helm, name: str) -> None:
    prometheus = ("--set", "prometheus.url=http://prometheus-operated.monitoring:9090")
    settings = Settings.model_validate(helm.template(*prometheus, **VALUES[name]).settings)

    assert settings.store.is_shared
    assert settings.prometheus is not None
    assert settings.images.gpu_server == f"{VALUES[name]['images']['registry']}/embedplane-server-gpu:0.1.0"


@pytest.mark.parametrize(("name", "profile"), [("gke", "nvidia-l4-gke"), ("eks", "nvidia-l4-karpenter")])
def test_the_documented_model_runs_on_the_gpu_image(helm: Helm, name: str, profile: str) -> None:
    settings = Settings.model_validate(helm.template(**VALUES[f"values-{name}.yaml"]).settings)
    spec: dict[str, Any] = {**embedding_models("docs/gpu.md")[0]["spec"], "accelerator": {"profile": profile}}

    assert serving_image(model_of(spec), settings) == settings.images.gpu_server
