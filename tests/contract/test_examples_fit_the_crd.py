"""What people copy fits: examples and documented models against the CRD, their profiles against the chart.

On a real API server the same is asserted by `tests/integration/test_api_schema.py`, CEL rules included.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from embedplane_operator.api.v1alpha1 import EmbeddingModel
from tests.support.crd_schema import problems
from tests.support.documented import ROOT, embedding_models, values_files
from tests.support.models import embedding_model

PAGES = ("README.md", "docs/gpu.md")
EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))
CHART_VALUES = ROOT / "charts" / "embedplane" / "values.yaml"


def models_of_examples() -> list[Any]:
    documents = [(path, each) for path in EXAMPLES for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    models = [(path, each) for path, each in documents if each["kind"] == "EmbeddingModel"]
    return [pytest.param(each, id=path.stem) for path, each in models]


def documented_models() -> list[Any]:
    return [pytest.param(each, id=Path(page).stem) for page in PAGES for each in embedding_models(page)]


def test_there_are_examples_and_documented_models() -> None:
    assert len(models_of_examples()) >= 3
    assert len(documented_models()) >= len(PAGES)


@pytest.mark.parametrize("manifest", [*models_of_examples(), *documented_models()])
def test_it_fits_the_crd_and_the_operator_reads_it(manifest: dict[str, Any]) -> None:
    assert problems(manifest) == []
    identity = {"namespace": "search", "uid": "0", "generation": 1}
    EmbeddingModel.model_validate({**manifest, "metadata": {**identity, **manifest["metadata"]}})


@pytest.mark.parametrize("manifest", [*models_of_examples(), *documented_models()])
def test_its_accelerator_profile_is_one_of_the_charts(manifest: dict[str, Any]) -> None:
    known = set(yaml.safe_load(CHART_VALUES.read_text(encoding="utf-8"))["acceleratorProfiles"])
    for values in values_files("docs/gpu.md").values():
        known |= values.get("acceleratorProfiles", {}).keys()
    named = manifest["spec"].get("accelerator", {}).get("profile")
    assert named is None or named in known


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"acelerator": {"profile": "nvidia-l4"}}, "spec has an unknown field acelerator"),
        ({"engine": {"backend": "cuda"}}, "spec.engine.backend is 'cuda', not one of"),
        ({"engine": {"maxBatchTokens": 1}}, "spec.engine.maxBatchTokens is 1, out of bounds"),
        ({"engine": {"maxBatchTokens": "many"}}, "spec.engine.maxBatchTokens is 'many', not integer"),
        ({"scaling": {"paused": 1}}, "spec.scaling.paused is 1, not boolean"),
        ({"source": {"huggingFace": {}}}, "spec.source.huggingFace lacks repo"),
        ({"servedModelNames": ["a b"]}, "spec.servedModelNames[0] is 'a b', which does not match"),
    ],
)
def test_what_does_not_fit_is_found(change: dict[str, Any], problem: str) -> None:
    manifest = embedding_model("minilm", "search", **change)
    manifest["spec"] |= change
    (found,) = problems(manifest)
    assert problem in found
