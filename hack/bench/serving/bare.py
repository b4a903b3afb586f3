"""The machine's own limits, measured by a process of its own: bf16 matrix products, and the engine without HTTP.

`bare FOLDER THREADS`: reads one question a line, writes one answer a line, both JSON. The engine gets token ids, so
what a server adds - HTTP, JSON, tokenisation, queue - is the difference.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from embedplane_server.engines.base import Batch, Engine
from embedplane_server.engines.load import load_engine
from embedplane_server.scheduling.waiting import Waiting
from embedplane_server.scheduling.work import Lane, Work

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
    """Return the engine's speed on texts of these lengths, in the batches that the queue makes of them."""
    batches = list(batches_of(engine, lengths))
    started, tokens = time.perf_counter(), 0
    with ThreadPoolExecutor(getattr(engine, "parallel", 1)) as threads:
        while time.perf_counter() - started < seconds or not tokens:
            list(threads.map(lambda ids: engine.embed(Batch(ids)), batches))
            tokens += sum(lengths)
    return tokens / (time.perf_counter() - started)


def batches_of(engine: Engine, lengths: list[int]) -> Iterator[list[Sequence[int]]]:
    """Return the batches that the queue makes of texts of these lengths."""
    future = asyncio.new_event_loop().create_future()
    waiting = Waiting(BATCH_TOKENS, engine.row_tokens)
    waiting.add(Work([[1] * length for length in lengths], Lane.BULK, 0.0, future), 1.0)
    while units := waiting.take():
        yield [unit.token_ids for unit in units]


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
