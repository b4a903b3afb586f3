"""How fast a model's engine in int8 is beside that in bfloat16: ratios of CPU time, on one thread."""

import argparse
import statistics
import time

from embedplane_server.engines.base import Batch, Engine
from embedplane_server.engines.load import load_engine
from hack.bench.serving.bare import batches_of
from hack.bench.serving.models import model_of
from hack.bench.serving.published import publish
from hack.bench.serving.texts import workloads

PRECISIONS = ("bfloat16", "int8")
LONGEST = 6
"""Batches of a kind: enough for their shapes, and a round is over before the machine changes."""


def main() -> None:
    """Build both engines, let them take turns batch by batch, print one line a kind of text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=["all-MiniLM-L6-v2", "all-mpnet-base-v2"])
    parser.add_argument("--floor", type=float, default=0.99, help="the least cosine under which int8 is not built")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    model = model_of(arguments.model)
    published = [publish(model, precision, arguments.floor, None) for precision in PRECISIONS]
    for each in published:
        print(each.built["precision"], each.built["conformance"])
    engines = [load_engine(each.folder, threads=1) for each in published]
    for kind in workloads(model)[1::2]:
        batches = [Batch(ids) for ids in batches_of(engines[0], kind.lengths)][:LONGEST]
        seconds = [_seconds(engines, batches) for _ in range(arguments.rounds + 1)][1:]
        tokens = sum(batch.tokens for batch in batches)
        speeds = [f"{tokens / statistics.median(times):,.0f}" for times in zip(*seconds, strict=True)]
        ratios = sorted(slow / fast for slow, fast in seconds)
        told = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"{kind.name}: {' and '.join(speeds)} tokens a CPU second, ratio {told}", flush=True)


def _seconds(engines: list[Engine], batches: list[Batch]) -> list[float]:
    """Return the CPU seconds of each engine for all batches."""
    spent = [0.0] * len(engines)
    for batch in batches:
        for row, engine in enumerate(engines):
            before = time.process_time()
            engine.embed(batch)
            spent[row] += time.process_time() - before
    return spent
