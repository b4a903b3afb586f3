"""Whole manifests, as YAML under tests/data: every case is a model and what Embedplane makes of it.

EMBEDPLANE_WRITE_GOLDEN=1 writes the outputs anew; read the difference before it is committed.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from embedplane_operator.decide.stages import decide
from embedplane_operator.kinds import Manifest
from embedplane_operator.observation import parse_model
from embedplane_operator.observe import Observer
from tests.support.rendering import ROOT, every_manifest, model_of, settings_of
from tests.support.spaces import with_candidate

DATA = ROOT / "tests" / "data"
CASES = sorted(path.parent for path in DATA.glob("*/input.yaml"))
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_model_renders_as_in(case: Path) -> None:
    given: dict[str, Any] = yaml.safe_load((case / "input.yaml").read_text())

    model = model_of(given["spec"], **given.get("metadata", {}))
    manifests = every_manifest(model, settings_of(**given.get("settings", {})))

    assert manifests == golden(case / "output.yaml", manifests)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_renders_as_in(example: Path) -> None:
    given: dict[str, Any] = yaml.safe_load(example.read_text())

    manifests = every_manifest(model_of(given["spec"], name=given["metadata"]["name"]), settings_of())

    assert manifests == golden(DATA / f"example-{example.stem}" / "output.yaml", manifests)


def golden(path: Path, manifests: list[Manifest]) -> list[Manifest]:
    if os.environ.get("EMBEDPLANE_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.dump_all(manifests, Dumper=Dumper, sort_keys=False, width=120))
    return list(yaml.safe_load_all(path.read_text()))


class Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


async def test_a_model_with_a_candidate_renders_as_in() -> None:
    world = await with_candidate()
    model = parse_model(world.model())

    observed = await Observer(world.cluster, world.settings, lambda: world.now).observe(model, None)
    manifests = list(decide(observed, world.settings, world.now).apply)

    assert manifests == golden(DATA / "two-spaces" / "output.yaml", manifests)
