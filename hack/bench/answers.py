"""What the Jobs of made-up models would report: the termination messages of docs/contract.md, one vector space each."""

import hashlib
import json
from typing import Any


def termination_message(pod: dict[str, Any]) -> str:
    """Return what the one container of a Job's pod says at its end."""
    container = pod["spec"]["containers"][0]
    environment = {each["name"]: each.get("value", "") for each in container.get("env") or ()}
    answers = {"fetch": _fetched, "export": _exported, "build": _built}
    return json.dumps({"result": answers[container["name"]](environment)})


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _fetched(environment: dict[str, str]) -> dict[str, Any]:
    digest = _digest(environment["EMBEDPLANE_SOURCE"])
    space = {
        "id": f"vs1-{digest[:20]}",
        "dimensions": 384,
        "pooling": "mean",
        "normalized": True,
        "maxSequenceLength": 256,
        "similarity": "cosine",
        "prompts": [],
    }
    return {
        "commit": digest[:40],
        "digest": digest,
        "sizeBytes": 90_000_000,
        "architecture": "BertModel",
        "vectorSpace": space,
        "exportKeys": {},
    }


def _exported(environment: dict[str, str]) -> dict[str, Any]:
    return {"exportKey": _digest(environment["EMBEDPLANE_MODEL_DIGEST"]), "texts": 64}


def _built(environment: dict[str, str]) -> dict[str, Any]:
    return {
        "key": _digest(environment["EMBEDPLANE_EXPORT_KEY"]),
        "variant": "avx512",
        "backend": "openvino",
        "backendVersion": "0.0.0",
        "precision": "float32",
        "maxBatchTokens": 512,
        "conformance": {"texts": 64, "minimumCosine": 0.99999, "meanCosine": 0.999999},
        "benchmark": {"tokensPerSecond": 3000.0, "batchTokens": 512},
        "builtAt": "2026-01-01T00:00:00Z",
    }
