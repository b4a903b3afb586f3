"""The least that the server has to reach, and whether a run shows that it does."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hack.bench.serving.contenders import OURS, REFERENCE
from hack.bench.serving.measuring import BARE, Results

MINILM, MPNET = "all-MiniLM-L6-v2", "all-mpnet-base-v2"
BF16, ONNX = "infinity bf16", "infinity onnx"
TIMES_AS_FAST: Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]] = {
    MINILM: {
        BF16: {"short": (2.5, 2.0), "mixed": (2.5, 2.2), "long": (1.7, 1.7)},
        ONNX: {"short": (2.7, 2.7), "mixed": (3, 3), "long": (2.1, 2.1)},
        REFERENCE: {"short": (3.5, 3.5), "mixed": (4, 4), "long": (3.5, 3.5)},
    },
    MPNET: {
        BF16: {"short": (1.8, 1.3), "mixed": (1.8, 1.6), "long": (1.3, 1.3)},
        ONNX: {"short": (2, 2), "mixed": (2, 2), "long": (1.8, 1.8)},
        REFERENCE: {"short": (3, 3), "mixed": (3, 3), "long": (3, 3)},
    },
}
"""By model, peer and kind of text: with one text a request and with many."""
SHARE_OF_BARE = (0.75, 0.9)
"""The same of the engine alone."""
SHARE_OF_LIMIT = 0.5
ADDED_MILLISECONDS = 2.0
LEAST_COSINE = {MINILM: 0.9999, MPNET: 0.9995}
START_SECONDS = {MINILM: 3.0}
MEGABYTES = {MINILM: 600.0}


@dataclass(frozen=True)
class Floor:
    """One thing that has to be so."""

    what: str
    measured: float
    bound: float
    is_most: bool = False
    """Whether the bound is the most rather than the least that there may be."""

    @property
    def is_met(self) -> bool:
        return self.measured <= self.bound if self.is_most else self.measured >= self.bound

    def __str__(self) -> str:
        sign = "<=" if self.is_most else ">="
        return f"{'met   ' if self.is_met else 'MISSED'}  {self.what}: {self.measured:.5g} {sign} {self.bound:g}"


def floors(results: Results) -> list[Floor]:
    """Return everything that this run can tell about."""
    return [*_of_workloads(results), *_of_the_rest(results)]


def _of_workloads(results: Results) -> Iterator[Floor]:
    name = results.model.name
    for workload in results.workloads:
        many = workload.texts_a_request > 1
        for peer, kinds in TIMES_AS_FAST[name].items():
            if peer in results.speeds[workload.name]:
                bound = kinds[workload.name.split()[0]][many]
                yield Floor(f"{workload.name}, times {peer}", results.ratio(workload.name, peer), bound)
        share = results.ratio(workload.name, BARE)
        yield Floor(f"{workload.name}, share of the bare engine", share, SHARE_OF_BARE[many])
        of_limit = results.speed(workload.name, OURS) / results.limit(workload)
        yield Floor(f"{workload.name}, share of the hardware's limit", of_limit, SHARE_OF_LIMIT)


def _of_the_rest(results: Results) -> Iterator[Floor]:
    name = results.model.name
    if results.lone:
        added = results.lone[OURS] - results.lone[BARE]
        yield Floor("lone short text, milliseconds more than the engine", added, ADDED_MILLISECONDS, is_most=True)
    if OURS in results.verified:
        yield Floor("least cosine to fp32", results.verified[OURS].minimum_cosine, LEAST_COSINE[name])
    if name in START_SECONDS:
        yield Floor("start, seconds", results.starts[OURS], START_SECONDS[name], is_most=True)
        yield Floor("memory, MB", results.megabytes[OURS], MEGABYTES[name], is_most=True)
