"""The queue and the engine thread together, with a fake engine that tests hold and break."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from embedplane_server.scheduling.admission import Limits, Queued, Running
from embedplane_server.scheduling.errors import EngineFailed, NeverFits, Overloaded, ShuttingDown
from embedplane_server.scheduling.observer import BatchReport, Outcome
from embedplane_server.scheduling.scheduler import Scheduler
from embedplane_server.scheduling.work import Embedded, Lane
from tests.support.eventually import until
from tests.support.fake_engine import DIMENSIONS, FakeEngine, vector_of
from tests.support.scheduling import embed

LIMITS = Limits(max_batch_tokens=100, max_queued_tokens=1000, max_interactive_inputs=4)


@dataclass
class Ledger:
    """An observer that adds up."""

    arrived: dict[str, int] = field(default_factory=lambda: {"admitted": 0, "overloaded": 0})
    tokens: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    inputs: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    reports: list[BatchReport] = field(default_factory=list)

    def admitted(self, tokens: int) -> None:
        self.arrived["admitted"] += tokens

    def overloaded(self, tokens: int) -> None:
        self.arrived["overloaded"] += tokens

    def batch(self, report: BatchReport) -> None:
        self.reports.append(report)
        self.dropped(report.tokens, report.inputs, report.outcome)

    def dropped(self, tokens: int, inputs: int, outcome: Outcome) -> None:
        self.tokens[outcome] += tokens
        self.inputs[outcome] += inputs


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def scheduler(engine: FakeEngine, ledger: Ledger) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(engine, LIMITS, ledger, expected_tokens_per_second=100)
    scheduler.start()
    yield scheduler
    engine.release()
    await asyncio.to_thread(scheduler.close)


def texts(count: int, length: int, first: int = 1000) -> list[list[int]]:
    return [[first + index] * length for index in range(count)]


async def started(scheduler: Scheduler, token_ids: Sequence[Sequence[int]]) -> "asyncio.Task[Embedded]":
    """Start a request and return once it is admitted."""
    task = asyncio.create_task(embed(scheduler, token_ids))
    await asyncio.sleep(0)
    return task


async def hold_engine(engine: FakeEngine, scheduler: Scheduler) -> "asyncio.Task[Embedded]":
    """Occupy the engine with a request of one input."""
    engine.hold()
    task = await started(scheduler, texts(1, 5, first=999))
    await asyncio.to_thread(engine.wait_until_busy)
    return task


def waiting(scheduler: Scheduler) -> tuple[int, int]:
    lanes = [scheduler.queued(lane) for lane in Lane]
    return sum(lane.tokens for lane in lanes), sum(lane.inputs for lane in lanes)


async def test_vectors_come_back_in_the_order_of_the_inputs(scheduler, engine):
    token_ids = [[1000 + index] * (1 + (index * 7) % 50) for index in range(40)]
    embedded = await embed(scheduler, token_ids)
    assert np.array_equal(embedded.vectors, np.stack([vector_of(ids) for ids in token_ids]))
    assert embedded.vectors.dtype == np.float32
    assert len(engine.batches) > 1


async def test_many_requests_at_once_each_get_their_own(scheduler):
    requests = [texts(1 + number % 7, 1 + number % 5, first=1000 + 10 * number) for number in range(60)]
    answers = await asyncio.gather(*(embed(scheduler, token_ids) for token_ids in requests))
    for token_ids, answer in zip(requests, answers, strict=True):
        assert np.array_equal(answer.vectors, np.stack([vector_of(ids) for ids in token_ids]))


async def test_an_engine_runs_in_one_thread_of_its_own(scheduler, engine):
    await asyncio.gather(*(embed(scheduler, texts(3, 10)) for _ in range(10)))
    assert len(engine.threads) == 1


async def test_requests_that_wait_together_share_a_batch(scheduler, engine):
    await hold_engine(engine, scheduler)
    tasks = [await started(scheduler, texts(1, 8)) for _ in range(8)]
    engine.release()
    await asyncio.gather(*tasks)
    assert [len(batch.token_ids) for batch in engine.batches] == [1, 8]


async def test_a_query_beside_a_huge_request_waits_for_one_batch_at_most(scheduler, engine):
    engine.hold()
    bulk = await started(scheduler, texts(90, 10))
    await asyncio.to_thread(engine.wait_until_busy)
    query = await started(scheduler, texts(1, 10, first=5000))
    engine.let_through(2)
    embedded = await query
    assert np.array_equal(embedded.vectors[0], vector_of([5000] * 10))
    assert not bulk.done()
    engine.release()
    await bulk


async def test_a_cancelled_request_frees_what_has_not_started(scheduler, engine, ledger):
    held = await hold_engine(engine, scheduler)
    bulk = await started(scheduler, texts(50, 10))
    assert waiting(scheduler) == (500, 50)
    bulk.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bulk
    assert waiting(scheduler) == (0, 0)
    engine.release()
    await held
    assert len(engine.batches) == 1
    assert ledger.tokens == {Outcome.SUCCESS: 5, Outcome.FAILED: 0, Outcome.CANCELLED: 500}
    assert ledger.inputs[Outcome.CANCELLED] == 50


async def test_a_request_cancelled_in_the_middle_frees_the_rest(scheduler, engine, ledger):
    engine.hold()
    bulk = await started(scheduler, texts(50, 10))
    await asyncio.to_thread(engine.wait_until_busy)
    bulk.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bulk
    engine.release()
    await until(lambda: len(ledger.reports) == 1)
    assert waiting(scheduler) == (0, 0)
    assert ledger.tokens == {Outcome.SUCCESS: 100, Outcome.FAILED: 0, Outcome.CANCELLED: 400}
    assert len(engine.batches) == 1


async def test_a_full_queue_refuses_with_the_time_until_there_is_room(scheduler, engine, ledger):
    held = await hold_engine(engine, scheduler)
    tasks = [await started(scheduler, texts(4, 25)) for _ in range(9)]
    with pytest.raises(Overloaded) as refusal:
        await embed(scheduler, texts(4, 50))
    assert refusal.value.retry_after_seconds == pytest.approx(1.0, rel=0.01)
    assert ledger.arrived == {"admitted": 905, "overloaded": 200}
    engine.release()
    await asyncio.gather(held, *tasks)
    await embed(scheduler, texts(4, 50))


async def test_bulk_work_leaves_room_for_interactive_requests(scheduler, engine):
    held = await hold_engine(engine, scheduler)
    tasks = [await started(scheduler, texts(40, 10)), await started(scheduler, texts(50, 10))]
    with pytest.raises(Overloaded):
        await embed(scheduler, texts(8, 10))
    tasks.append(await started(scheduler, texts(1, 80)))
    engine.release()
    await asyncio.gather(held, *tasks)


async def test_a_request_that_can_never_fit_is_told_so(scheduler, ledger):
    with pytest.raises(NeverFits, match="1100 tokens, but this server queues at most 1000"):
        await embed(scheduler, texts(11, 100))
    assert ledger.arrived == {"admitted": 0, "overloaded": 0}


async def test_a_request_as_large_as_the_queue_fits_when_nothing_waits(scheduler):
    assert (await embed(scheduler, texts(10, 100))).vectors.shape == (10, DIMENSIONS)


async def test_an_engine_failure_fails_only_its_batch(scheduler, engine, ledger):
    held = await hold_engine(engine, scheduler)
    engine.fails_on = {6000}
    bad = await started(scheduler, texts(20, 10, first=6000))
    good = await started(scheduler, texts(4, 50, first=7000))
    engine.release()
    await held
    with pytest.raises(EngineFailed):
        await bad
    assert (await good).vectors.shape == (4, DIMENSIONS)
    assert scheduler.problem() is None
    assert ledger.inputs[Outcome.FAILED] == 20


async def test_every_admitted_token_ends_in_one_outcome(scheduler, engine, ledger):
    engine.fails_on = {2003}
    results = await asyncio.gather(
        *(embed(scheduler, texts(5, 7, first=2000 + number)) for number in range(6)), return_exceptions=True
    )
    assert any(isinstance(result, EngineFailed) for result in results)
    assert sum(ledger.tokens.values()) == ledger.arrived["admitted"] == 6 * 35


async def test_a_batch_that_breaks_the_engine_is_not_held_against_it_while_others_work(scheduler, engine):
    await embed(scheduler, texts(1, 5))
    engine.fails_on = {6000}
    for _ in range(5):
        with pytest.raises(EngineFailed):
            await embed(scheduler, texts(1, 5, first=6000))
    assert scheduler.problem() is None


async def test_an_engine_that_always_fails_is_unhealthy_until_it_works_again(scheduler, engine):
    engine.fails_on = set()
    for _ in range(3):
        with pytest.raises(EngineFailed):
            await embed(scheduler, texts(1, 5))
    await until(lambda: scheduler.problem() == "the last 3 batches failed")
    engine.fails_on = None
    await embed(scheduler, texts(1, 5))
    assert scheduler.problem() is None


@pytest.mark.parametrize(
    "answer", [np.full((1, DIMENSIONS), np.nan, np.float32), np.zeros((2, DIMENSIONS), np.float32)]
)
async def test_vectors_that_cannot_be_right_are_a_failure(scheduler, engine, answer):
    engine.answer = answer
    with pytest.raises(EngineFailed):
        await embed(scheduler, texts(1, 5))


async def test_a_batch_that_never_ends_makes_the_engine_unhealthy(engine, ledger):
    now = 0.0
    scheduler = Scheduler(engine, LIMITS, ledger, 100, clock=lambda: now)
    scheduler.start()
    held = await hold_engine(engine, scheduler)
    assert scheduler.problem() is None
    now = 301.0
    assert scheduler.problem() == "one batch has been running for 301 seconds"
    engine.release()
    await held
    await asyncio.to_thread(scheduler.close)


async def test_closing_finishes_what_is_queued_and_takes_no_more(engine, ledger):
    scheduler = Scheduler(engine, LIMITS, ledger, 100)
    scheduler.start()
    held = await hold_engine(engine, scheduler)
    queued = await started(scheduler, texts(30, 10))
    closing = asyncio.create_task(asyncio.to_thread(scheduler.close))
    engine.release()
    await closing
    assert (await held).vectors.shape == (1, DIMENSIONS)
    assert (await queued).vectors.shape == (30, DIMENSIONS)
    with pytest.raises(ShuttingDown):
        await embed(scheduler, texts(1, 5))
    assert scheduler.problem() == "an engine thread has ended"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_thread_that_ends_leaves_no_request_waiting_and_makes_the_engine_unhealthy(ledger, monkeypatch):
    scheduler = Scheduler(FakeEngine(parallel=2), LIMITS, ledger, 100)
    scheduler.start()
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "batch", lambda _: 1 / 0)
        with pytest.raises(EngineFailed):
            await asyncio.wait_for(embed(scheduler, texts(1, 5)), 10)
    await until(lambda: scheduler.problem() == "an engine thread has ended")
    assert (await embed(scheduler, texts(1, 5))).vectors.shape == (1, DIMENSIONS)
    await asyncio.to_thread(scheduler.close)


async def test_padding_is_reported(scheduler, ledger):
    await embed(scheduler, [[1] * 10, [1] * 4])
    assert [(report.tokens, report.padding_tokens, report.inputs) for report in ledger.reports] == [(14, 6, 2)]


async def test_padding_of_texts_that_share_rows_is_what_the_rows_lack(engine, ledger):
    engine.row_tokens = 64
    scheduler = Scheduler(engine, LIMITS, ledger, expected_tokens_per_second=100)
    scheduler.start()
    await embed(scheduler, [[1] * 30, [1] * 20])
    await embed(scheduler, [[1] * 40])
    await asyncio.to_thread(scheduler.close)
    assert [(report.tokens, report.padding_tokens) for report in ledger.reports] == [(50, 14), (40, 0)]


async def test_lanes_follow_the_size_of_the_request(scheduler, engine):
    await hold_engine(engine, scheduler)
    tasks = [await started(scheduler, texts(4, 5)), await started(scheduler, texts(5, 5))]
    tasks.append(await started(scheduler, texts(3, 40)))
    await until(lambda: waiting(scheduler)[1] == 12)
    assert scheduler.queued(Lane.INTERACTIVE) == Queued(20, 4)
    assert scheduler.queued(Lane.BULK) == Queued(145, 8)
    engine.release()
    await asyncio.gather(*tasks)


async def test_batches_run_side_by_side_where_the_engine_can(ledger):
    engine = FakeEngine(parallel=2)
    scheduler = Scheduler(engine, LIMITS, ledger, expected_tokens_per_second=100)
    scheduler.start()
    engine.hold()
    tasks = []
    for number in range(2):
        tasks.append(await started(scheduler, texts(1, 5, first=1000 + number)))
        await asyncio.to_thread(engine.wait_until_busy)
    engine.let_through(2)
    await asyncio.gather(*tasks)
    assert len(engine.threads) == 2
    await asyncio.to_thread(scheduler.close)


async def test_a_request_gets_all_vectors_whose_batches_ran_side_by_side(ledger):
    scheduler = Scheduler(FakeEngine(parallel=4), LIMITS, ledger, expected_tokens_per_second=100)
    scheduler.start()
    requests = [texts(90, 5, first=1000 + 100 * number) for number in range(2)] * 10
    for token_ids, answer in zip(requests, [await embed(scheduler, each) for each in requests], strict=True):
        assert np.array_equal(answer.vectors, np.stack([vector_of(ids) for ids in token_ids]))
    await asyncio.to_thread(scheduler.close)


async def test_a_batch_has_the_engine_alone_while_nothing_else_runs_or_waits(ledger):
    engine = FakeEngine(parallel=2)
    scheduler = Scheduler(engine, LIMITS, ledger, expected_tokens_per_second=100)
    scheduler.start()
    engine.hold()
    first = await started(scheduler, texts(1, 5))
    await asyncio.to_thread(engine.wait_until_busy)
    second = await started(scheduler, texts(1, 5))
    await asyncio.to_thread(engine.wait_until_busy)
    engine.let_through(2)
    await asyncio.gather(first, second)
    assert [batch.alone for batch in engine.batches] == [True, False]
    await asyncio.to_thread(scheduler.close)


async def test_batches_side_by_side_share_what_waits(ledger):
    engine = FakeEngine(parallel=2)
    scheduler = Scheduler(engine, LIMITS, ledger, expected_tokens_per_second=100)
    scheduler.start()
    running = [await hold_engine(engine, scheduler) for _ in range(2)]
    waiting = [await started(scheduler, texts(1, 6)) for _ in range(9)]
    engine.let_through()
    await asyncio.to_thread(engine.wait_until_busy)
    assert len(engine.batches[2].token_ids) == 5  # of ten: nine that wait and one that runs
    engine.release()
    engine.let_through()
    await asyncio.gather(*running, *waiting)
    await asyncio.to_thread(scheduler.close)


def test_seconds_in_which_two_batches_run_count_once():
    running = Running()
    running.begin(10, 5)
    running.begin(11, 7)
    assert [running.end(13, 5), running.end(14, 7)] == [3, 1]
    running.begin(20, 5)
    assert running.end(22, 5) == 2


def test_the_share_of_a_batch_is_of_what_waits_and_what_runs():
    running = Running()
    assert running.share(50, 2) is None
    running.begin(10, 31)
    assert running.share(50, 2) == 41
    running.end(11, 31)
    assert running.share(50, 2) is None
