"""`build` and `serve` as the pods of a GPU node run them: only NVIDIA's libraries and nvidia-smi are imitated."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from embedplane_server.results import BuildResult
from hack.environment import outside
from tests.support.gpu_image import DRIVER, on_a_gpu
from tests.support.reference import cosines, reference_model
from tests.support.tensorrt.workshop import Workshop
from tests.support.texts import texts_up_to

OLDER, USUAL, NEWER = "570.211.01", "580.95.05", "595.12"


def run(*command: str, around: dict[str, str], **settings: Any) -> tuple[int, dict[str, Any]]:
    """Return the exit code of a step and what it wrote as its termination message."""
    log = Path(settings.pop("folder")) / "termination-log"
    variables = {f"EMBEDPLANE_{name.upper()}": str(value) for name, value in settings.items()}
    environment = {**around, **variables, "EMBEDPLANE_TERMINATION_LOG": str(log)}
    done = subprocess.run([sys.executable, "-m", *command], env=environment, timeout=300, check=False)
    return done.returncode, json.loads(log.read_text())


def node_with(driver: str) -> dict[str, str]:
    return {**on_a_gpu(outside()), DRIVER: driver}


def test_the_imitation_has_the_api_that_a_build_looks_for():
    look = "import tensorrt; from embedplane_server.engines.tensorrt_api import check_api; check_api(tensorrt)"
    subprocess.run([sys.executable, "-c", look], env=on_a_gpu(outside()), timeout=60, check=True)


@dataclass
class Node:
    """A model whose graph waits in a store for a GPU, and the pods of a node with one."""

    workshop: Workshop

    def build(self, driver: str) -> BuildResult:
        engine = json.dumps({"backend": "tensorrt", "precision": "auto", "gpu": GPU})
        code, told = run(
            "embedplane_server",
            "build",
            around=node_with(driver),
            folder=self.workshop.folder,
            store=self.workshop.steps.store,
            export_key=self.workshop.export_key,
            engine=engine,
            threads=1,
        )
        assert code == 0, told
        return BuildResult.model_validate(told["result"])

    def served(self, driver: str, built: BuildResult) -> Any:
        steps = replace(self.workshop.steps, around=node_with(driver))
        return steps.served(self.workshop.fetched, built, "tiny", host="127.0.0.1")


GPU = {"name": "NVIDIA L4", "computeCapability": "8.9"}


@pytest.fixture
def node(bert_for_gpus: Workshop, tmp_path: Path) -> Node:
    return Node(bert_for_gpus.moved_to(tmp_path))


def vectors(url: str, texts: list[str]) -> np.ndarray:
    answer = httpx.post(f"{url}/v1/embeddings", json={"model": "tiny", "input": texts}, timeout=60).raise_for_status()
    return np.array([each["embedding"] for each in answer.json()["data"]], dtype=np.float32)


@pytest.mark.model
def test_an_engine_is_served_where_its_driver_is_not_older_than_the_one_it_was_built_with(node: Node):
    built = node.build(USUAL)
    texts = texts_up_to(100, 20)
    expected = reference_model(folder=node.workshop.model).encode(texts, convert_to_numpy=True)

    for driver in (USUAL, NEWER):
        with node.served(driver, built) as url:
            assert cosines(vectors(url, texts), expected).min() >= 0.9999
            assert httpx.get(f"{url}/info").json()["backend"] == "tensorrt"
    assert node.build(NEWER).variant == built.variant == "nvidia-l4-sm89-r580"

    code, told = run(
        "embedplane_server",
        "serve",
        around=node_with(OLDER),
        folder=node.workshop.folder,
        store=node.workshop.steps.store,
        engine_key=built.key,
        model_name="tiny",
        served_model_names='["tiny"]',
        vector_space=node.workshop.fetched.vector_space.id,
        threads=1,
    )
    assert (code, told["error"]["reason"]) == (66, "EngineIncompatible")
    assert told["error"]["machine"] == "nvidia-l4-sm89-r570"
    missing = node.build(OLDER)
    assert (missing.key, missing.variant) == (built.key, "nvidia-l4-sm89-r570")
    with node.served(OLDER, missing) as url:
        assert cosines(vectors(url, texts), expected).min() >= 0.9999
