"""What the operator's Jobs and servers are given: the EMBEDPLANE_* variables of docs/contract.md. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from hack.gpu_smoke.containers import Mount
from hack.gpu_smoke.gpu import Gpu
from hack.gpu_smoke.plan import Model, Trial

STORE = "/store"
STORE_URL = f"file://{STORE}"
SOURCE = "/source"
WORDS = "/words"
"""A folder for the termination message, which Kubernetes would mount as a file."""
TOKEN = "/token"  # noqa: S105 -- where it is mounted
MINIMUM_COSINE = 0.999
NAME = "smoke"
DRAIN_SECONDS = 2

Variables = Mapping[str, str]


def common() -> Variables:
    """Return what every step is given."""
    return {"EMBEDPLANE_STORE": STORE_URL, "EMBEDPLANE_TERMINATION_LOG": f"{WORDS}/last"}


def fetch(trial: Trial, gpu: Gpu, endpoint: str | None, has_token: bool) -> Variables:
    """Return the variables of `fetch`."""
    variables = {
        "EMBEDPLANE_SOURCE": json.dumps(_source(trial.model, endpoint)),
        "EMBEDPLANE_OVERRIDES": json.dumps(_overrides(trial.model)),
        "EMBEDPLANE_ENGINE": json.dumps(_engine(trial, gpu)),
    }
    return {**common(), **variables, **({"EMBEDPLANE_TOKEN_FILE": TOKEN} if has_token else {})}


def export(trial: Trial, fetched: Mapping[str, Any]) -> Variables:
    """Return the variables of `export`; `fetched` is the result of `fetch`."""
    return {
        **common(),
        "EMBEDPLANE_MODEL_DIGEST": fetched["digest"],
        "EMBEDPLANE_OVERRIDES": json.dumps(_overrides(trial.model)),
        "EMBEDPLANE_FORMAT": trial.export_format,
    }


def build(trial: Trial, gpu: Gpu, export_key: str, threads: int) -> Variables:
    """Return the variables of `build`."""
    return {
        **common(),
        "EMBEDPLANE_EXPORT_KEY": export_key,
        "EMBEDPLANE_ENGINE": json.dumps(_engine(trial, gpu)),
        "EMBEDPLANE_MINIMUM_COSINE": str(MINIMUM_COSINE),
        "EMBEDPLANE_THREADS": str(threads),
    }


def serve(built: Mapping[str, Any], fetched: Mapping[str, Any], threads: int) -> Variables:
    """Return the variables of `serve`; `built` is the result of `build`."""
    return {
        **common(),
        "EMBEDPLANE_ENGINE_KEY": built["key"],
        "EMBEDPLANE_MODEL_NAME": NAME,
        "EMBEDPLANE_SERVED_MODEL_NAMES": json.dumps([NAME]),
        "EMBEDPLANE_VECTOR_SPACE": fetched["vectorSpace"]["id"],
        "EMBEDPLANE_THREADS": str(threads),
        "EMBEDPLANE_DRAIN_DELAY_SECONDS": str(DRAIN_SECONDS),
        "EMBEDPLANE_LONG_INPUT": "Truncate",  # texts for speed are cut by words, so some are a few tokens too long
    }


def source_mount(model: Model) -> tuple[Mount, ...]:
    """Return how a folder of this machine becomes a source: as a claim would be mounted."""
    return (Mount(model.folder, SOURCE),) if model.folder else ()


def _source(model: Model, endpoint: str | None) -> dict[str, Any]:
    if model.folder:
        return {"path": SOURCE}
    return {"huggingFace": {"repo": model.repo, **({"endpoint": endpoint} if endpoint else {})}}


def _overrides(model: Model) -> dict[str, Any]:
    return {"maxSequenceLength": model.window} if model.window else {}


def _engine(trial: Trial, gpu: Gpu) -> dict[str, Any]:
    engine: dict[str, Any] = {"backend": trial.backend, "precision": "auto"}
    if trial.is_on_gpu:
        engine["gpu"] = {"name": gpu.name, "computeCapability": gpu.compute_capability}
    return engine
