"""The machine's own limits, measured by a process of its own: bf16 matrix products, and the engine without HTTP.

`bare FOLDER THREADS`: reads one question a line, writes one answer a line, both JSON. The engine gets token ids, so
what a server adds - HTTP, JSON, tokenisation, queue - is the difference.
"""

import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from embedplane_server.engines.base import Batch, Engine
from embedplane_server.engines.load import load_engine

BATCH_TOKENS = 768
ROWS, INNER = 2048, 1536


def gigaflops(seconds: float) -> float:
    """Return the speed of bfloat16 products of the form of a layer's, weights packed as oneDNN likes them."""
    inputs = torch.randn(ROWS, INNER, dtype=torch.bfloat16)
    onednn = torch.ops.mkldnn
    weights = torch.randn(INNER, INNER, dtype=torch.bfloat16)
    packed = onednn._reorder_linear_weight(weights, ROWS)  # noqa: SLF001 -- torch's public products are slower
    best, deadline = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        started = time.perf_counter()
        onednn._linear_pointwise(inputs, packed, None, "none", [], "")  # noqa: SLF001 -- as above
        best = min(best, time.perf_counter() - started)
    return 2 * ROWS * INNER * INNER / best / 1e9


def tokens_per_second(engine: Engine, lengths: list[int], seconds: float) -> float:
    """Return the engine's speed on texts of these lengths, in batches of about one length."""
    batches: list[list[list[int]]] = [[]]
    for length in sorted(lengths):
        if (len(batches[-1]) + 1) * length > BATCH_TOKENS and batches[-1]:
            batches.append([])
        batches[-1].append([1] * length)
    started, tokens = time.perf_counter(), 0
    with ThreadPoolExecutor(getattr(engine, "parallel", 1)) as threads:
        while time.perf_counter() - started < seconds or not tokens:
            list(threads.map(lambda ids: engine.embed(Batch(ids)), batches))
            tokens += sum(lengths)
    return tokens / (time.perf_counter() - started)


def lone_milliseconds(engine: Engine, lengths: list[int]) -> float:
    """Return the median time of single texts, one after the other."""
    times = []
    for length in lengths:
        started = time.perf_counter()
        engine.embed(Batch([[1] * length]))
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def main() -> None:
    """Answer until the input ends."""
    engine = load_engine(Path(sys.argv[1]), int(sys.argv[2]))
    torch.set_num_threads(int(sys.argv[2]))
    for line in sys.stdin:
        question: dict[str, Any] = json.loads(line)
        answer: float
        if question["measure"] == "limit":
            answer = gigaflops(question["seconds"])
        elif question["measure"] == "lone":
            answer = lone_milliseconds(engine, question["lengths"])
        else:
            answer = tokens_per_second(engine, question["lengths"], question["seconds"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
