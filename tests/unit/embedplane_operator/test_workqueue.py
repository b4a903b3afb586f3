"""The work queue: what waits once, what runs once, what comes again and when."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from embedplane_operator.errors import ConflictError, EmbedplaneError, Refusal
from embedplane_operator.workqueue import Key, Reconcile, WorkQueue

KEY = Key("search", "minilm")


@asynccontextmanager
async def workers(queue: WorkQueue, reconcile: Reconcile, count: int = 1) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(queue.work(reconcile)) for _ in range(count)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 -- looks at the world, as every test
            await asyncio.sleep(0.001)


def recording(
    runs: list[Key], answer: Callable[[], float | None] = lambda: None
) -> Callable[[Key], Awaitable[float | None]]:
    async def reconcile(key: Key) -> float | None:
        runs.append(key)
        return answer()

    return reconcile


async def test_a_key_added_many_times_waits_once() -> None:
    queue, runs = WorkQueue(), []
    for _ in range(100):
        queue.add(KEY)
    assert queue.depth == 1

    async with workers(queue, recording(runs)):
        await until(lambda: bool(runs) and queue.depth == 0)

    assert runs == [KEY]


async def test_an_event_during_a_run_makes_exactly_one_more_run() -> None:
    queue, runs, gate = WorkQueue(), [], asyncio.Event()

    async def reconcile(key: Key) -> float | None:
        runs.append(key)
        await gate.wait()
        return None

    async with workers(queue, reconcile, count=3):
        queue.add(KEY)
        await until(lambda: len(runs) == 1)
        for _ in range(5):
            queue.add(KEY)
        assert len(runs) == 1  # never twice at a time
        gate.set()
        await until(lambda: len(runs) == 2 and queue.depth == 0 and queue.longest_run() == 0)

    assert runs == [KEY, KEY]


async def test_of_several_future_checks_the_earliest_wins() -> None:
    queue, runs = WorkQueue(), []
    queue.add_after(KEY, 3600)
    queue.add_after(KEY, 0.01)
    queue.add_after(KEY, 3600)

    async with workers(queue, recording(runs)):
        await until(lambda: runs == [KEY])


async def test_a_fresh_event_overrides_the_wait() -> None:
    queue, runs = WorkQueue(), []
    queue.add_after(KEY, 3600)
    queue.add(KEY)

    async with workers(queue, recording(runs)):
        await until(lambda: runs == [KEY])


async def test_a_failure_is_retried_with_growing_delays_until_it_succeeds() -> None:
    queue, answers = WorkQueue(base_delay=0.01), iter([ValueError("no"), EmbedplaneError("no"), ValueError("no"), None])
    times: list[float] = []

    async def reconcile(_key: Key) -> float | None:
        times.append(asyncio.get_running_loop().time())
        if error := next(answers):
            raise error
        return None

    async with workers(queue, reconcile):
        queue.add(KEY)
        await until(lambda: len(times) == 4)

    assert times[3] - times[2] >= 0.02  # half of 0.01 * 2**2, the least that jitter leaves


async def test_the_verdict_of_an_error_is_the_least_delay() -> None:
    queue = WorkQueue(base_delay=0.001)

    async def reconcile(_key: Key) -> float | None:
        raise ConflictError("PATCH x", Refusal(409, "Conflict", "changed", retry_after=7.0))

    async with workers(queue, reconcile):
        queue.add(KEY)
        await until(lambda: KEY in queue._timers)

    assert 3.4 < queue._timers[KEY].when() - asyncio.get_running_loop().time() <= 7.0


async def test_a_cancelled_worker_leaves_no_key_busy() -> None:
    queue, runs = WorkQueue(), []

    async def hang(_key: Key) -> float | None:
        await asyncio.Event().wait()
        return None

    async with workers(queue, hang):
        queue.add(KEY)
        await until(lambda: queue.depth == 0)
    queue.add(KEY)
    async with workers(queue, recording(runs)):
        await until(lambda: runs == [KEY])


async def test_many_events_over_many_keys_never_overlap_and_always_see_the_last_state() -> None:
    queue, state, seen, busy = WorkQueue(base_delay=0.001), Counter(), {}, set()
    keys = [Key("search", f"model-{number}") for number in range(50)]
    dice = random.Random(7)

    async def reconcile(key: Key) -> float | None:
        assert key not in busy
        busy.add(key)
        try:
            read = state[key]
            await asyncio.sleep(0)
            if dice.random() < 0.2:
                raise EmbedplaneError("bad luck")
            seen[key] = read
        finally:
            busy.discard(key)
        return None

    async with workers(queue, reconcile, count=8):
        for number in range(5000):
            key = dice.choice(keys)
            state[key] += 1
            queue.add(key)
            if number % 10 == 0:
                await asyncio.sleep(0)
        await until(lambda: seen == dict(state))
