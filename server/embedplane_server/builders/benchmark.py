"""How fast an engine is here, and which token budget keeps one forward pass short. Absolute numbers of this machine."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from embedplane_server.engines.base import Batch, Engine

# A forward pass blocks what comes after it: its budget is what the machine does in this time, within bounds.
BATCH_SECONDS = 0.05
SMALLEST_BATCH_TOKENS = 512
LARGEST_BATCH_TOKENS = 2048

# Texts of this length measure: about a paragraph.
_TEXT_TOKENS = 128
_MEASURED_SECONDS = 1.5
_STEP_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Tokens a second at a token budget."""

    tokens_per_second: float
    batch_tokens: int


def measure_speed(engine: Engine, window: int, clock: Callable[[], float] = time.perf_counter) -> Benchmark:
    """Find the token budget that takes at most 50 ms, and the speed at it with as many batches as run side by side."""
    budget = suitable_budget(_speed(engine, window, SMALLEST_BATCH_TOKENS, clock) / engine.parallel)
    return Benchmark(_speed(engine, window, budget, clock), budget)


def measure_speed_at(engine: Engine, window: int, budget: int) -> Benchmark:
    """Measure the speed at a token budget that is given, as many batches side by side as use the whole device."""
    return Benchmark(_speed(engine, window, budget, time.perf_counter), budget)


def suitable_budget(tokens_per_second: float) -> int:
    """Return the token budget for the speed of a batch, in steps of 256."""
    budget = int(tokens_per_second * BATCH_SECONDS) // _STEP_TOKENS * _STEP_TOKENS
    return min(max(budget, SMALLEST_BATCH_TOKENS), LARGEST_BATCH_TOKENS)


def _speed(engine: Engine, window: int, budget: int, clock: Callable[[], float]) -> float:
    length = min(_TEXT_TOKENS, window, budget)
    batch = Batch([[1] * length] * max(1, budget // length))
    side_by_side = [batch] * engine.parallel
    with ThreadPoolExecutor(engine.parallel) as threads:
        list(threads.map(engine.embed, side_by_side))
        started, passes = clock(), 0
        while clock() - started < _MEASURED_SECONDS or passes == 0:
            passes += len(list(threads.map(engine.embed, side_by_side)))
        return batch.tokens * passes / (clock() - started)
