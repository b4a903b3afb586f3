"""Whether the servers are comparable: each has to count the same tokens and make the reference's vectors."""

import base64
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hack.bench.serving import load
from hack.bench.serving.contenders import REFERENCE, Running
from hack.bench.serving.workload import Workload

TEXTS = 32
"""So many of each kind; a server that cut texts would show at once."""
COUNTS_CHARACTERS = "infinity"
"""Its `usage` counts characters unless told otherwise, so only its vectors tell that it read all tokens."""


@dataclass(frozen=True)
class Verified:
    """How near a server's vectors are to sentence-transformers' in fp32."""

    minimum_cosine: float
    mean_cosine: float


def verify(servers: list[Running], workloads: list[Workload]) -> dict[str, Verified]:
    """Return each server's cosines to the reference; end the benchmark when a token count is wrong."""
    kinds = [workload for workload in workloads if workload.texts_a_request > 1]
    vectors = {server.name: np.concatenate([_vectors(server, kind) for kind in kinds]) for server in servers}
    if REFERENCE not in vectors:
        return {}
    cosines = {name: (found * vectors[REFERENCE]).sum(axis=1) for name, found in vectors.items()}
    return {name: Verified(float(found.min()), float(found.mean())) for name, found in cosines.items()}


def _vectors(server: Running, workload: Workload) -> NDArray[np.float32]:
    requests = load.requests_of(workload, server.address)[: max(1, TEXTS // workload.texts_a_request)]
    with server.awake() as address:
        bodies = [json.loads(body) for body in load.answers(address, requests)]
    if not server.name.startswith(COUNTS_CHARACTERS):
        counted = [body["usage"]["prompt_tokens"] for body in bodies]
        expected = [request.tokens for request in requests]
        assert counted == expected, f"{server.name} counts {counted} tokens of {workload.name}, not {expected}"
    rows = [base64.b64decode(entry["embedding"]) for body in bodies for entry in body["data"]]
    vectors = np.stack([np.frombuffer(row, dtype="<f4") for row in rows])
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
