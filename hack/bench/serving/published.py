"""The engine under test: a model through fetch, export and build, as in a cluster, into a store of the cache."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.bench.serving.installs import cache
from hack.bench.serving.models import WINDOW, Model
from hack.environment import outside

THREADS = len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Engine:
    """An engine in the store, and the variables that serve it."""

    folder: Path
    variables: Mapping[str, str]
    built: Mapping[str, Any]
    """What the build said: precision, conformance, benchmark."""


def publish(model: Model, precision: str, minimum_cosine: float, max_batch_tokens: int | None) -> Engine:
    """Return a model's engine; what the store has already is not made again."""
    # Keys stay while graphs take another form: a store of before would be measured as it was.
    store = cache() / "store-of-rows"
    settings = {"STORE": store.as_uri(), "ENGINE": json.dumps({"backend": "openvino", "precision": precision})}
    overrides = json.dumps({"maxSequenceLength": WINDOW})
    source = json.dumps({"path": str(model.folder)})
    fetched = _step("fetch", {**settings, "SOURCE": source, "OVERRIDES": overrides})
    exported = _step(
        "export",
        {
            "STORE": settings["STORE"],
            "MODEL_DIGEST": fetched["digest"],
            "OVERRIDES": overrides,
            "FORMAT": "openvino",
        },
    )
    floor = str(minimum_cosine)
    built = _step(
        "build",
        {**settings, "EXPORT_KEY": exported["exportKey"], "THREADS": str(THREADS), "MINIMUM_COSINE": floor},
    )
    variables = {
        "STORE": settings["STORE"],
        "ENGINE_KEY": built["key"],
        "MODEL_NAME": model.name,
        "SERVED_MODEL_NAMES": json.dumps([model.name]),
        "VECTOR_SPACE": fetched["vectorSpace"]["id"],
        "THREADS": str(THREADS),
        "MINIMUM_COSINE": floor,
    }
    if max_batch_tokens is not None:
        variables["MAX_BATCH_TOKENS"] = str(max_batch_tokens)
    (manifest,) = (store / "engines" / built["key"]).glob("*/*/engine.json")
    return Engine(manifest.parent, _prefixed(variables), built)


def _step(command: str, settings: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "embedplane_server", command],
        env={**outside(), **_prefixed({**settings, "LOG_LEVEL": "warning"})},
        stdout=subprocess.PIPE,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["result"]
    return result


def _prefixed(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"EMBEDPLANE_{name}": value for name, value in settings.items()}
