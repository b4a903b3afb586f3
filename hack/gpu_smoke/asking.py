"""What a server answers: vectors, how near they are to others, and tokens a second under load."""

import json
from collections.abc import Sequence
from dataclasses import replace
from math import isnan, sqrt
from operator import mul
from typing import Any

from hack.bench.serving import load
from hack.bench.serving.load import Address
from hack.bench.serving.workload import Workload
from hack.gpu_smoke.outcome import StepFailedError

Vector = Sequence[float]


def vectors(address: Address, texts: Sequence[str], texts_a_request: int) -> list[Vector]:
    """Return the vector of each text. Raises `StepFailedError` when the server answers anything else."""
    found: list[Vector] = []
    for start in range(0, len(texts), texts_a_request):
        request = load.request_of(address, texts[start : start + texts_a_request], encoding="float")
        (answer,) = _answers(address, [request])
        found += [row["embedding"] for row in answer["data"]]
    return found


def cosines(ours: Sequence[Vector], theirs: Sequence[Vector]) -> list[float]:
    """Return the cosine of each vector of one with that of the other; what is no number counts as -1."""
    if [len(vector) for vector in ours] != [len(vector) for vector in theirs]:
        raise StepFailedError(f"{len(ours)} vectors of {len(ours[0])} numbers, not {len(theirs)} of {len(theirs[0])}")
    return [_cosine(mine, other) for mine, other in zip(ours, theirs, strict=True)]


def tokens_per_second(address: Address, workload: Workload, seconds: float) -> float:
    """Return the tokens a second that a server embeds; it counts them itself."""
    asked = load.requests_of(workload, address)
    try:
        requests = [
            replace(request, tokens=answer["usage"]["prompt_tokens"])
            for request, answer in zip(asked, _answers(address, asked), strict=True)
        ]
        done = load.run(address, requests, workload.requests_in_flight, seconds)
    except OSError as error:
        raise StepFailedError(f"{workload.name}: {error}") from error
    return done.tokens / done.seconds


def _answers(address: Address, requests: Sequence[load.Request]) -> list[dict[str, Any]]:
    try:
        return [json.loads(body) for body in load.answers(address, requests)]
    except OSError as error:
        raise StepFailedError(f"the server does not answer: {error}") from error


def _cosine(mine: Vector, other: Vector) -> float:
    lengths = sqrt(sum(map(mul, mine, mine))) * sqrt(sum(map(mul, other, other)))
    cosine = sum(map(mul, mine, other)) / lengths if lengths else -1.0
    return -1.0 if isnan(cosine) else cosine
