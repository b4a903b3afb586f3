"""A running server checks its engine: never ahead of a request, and never with a wrong answer after it failed."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import httpx
import numpy as np
import pytest

from embedplane_server.scheduling.admission import Limits
from embedplane_server.scheduling.errors import EngineDrifted
from embedplane_server.scheduling.observer import BatchReport
from embedplane_server.scheduling.probes import Probed
from embedplane_server.scheduling.scheduler import Scheduler
from embedplane_server.self_check import Checked, Proof, SelfCheck, Standard
from embedplane_server.self_check_metrics import CheckOutcome
from tests.support.fake_engine import FakeEngine, fake_proof, vector_of
from tests.support.fake_server import RunningServer, running_server
from tests.support.scheduling import embed
from tests.support.waiting import wait_for

QUICKLY = 0.02
LABELS = 'model="minilm",outcome="{}",vector_space="vs1-00112233445566778899"'
INPUT = {"input": "some text"}


def soon(what: str, condition: Callable[[], object]) -> None:
    wait_for(what, condition, within=10, pause=0.005)


def checks(server: RunningServer, outcome: str) -> float:
    sample = f"embedplane_self_checks_total{{{LABELS.format(outcome)}}} "
    (line,) = (line for line in httpx.get(f"{server.url}/metrics").text.splitlines() if line.startswith(sample))
    return float(line.removeprefix(sample))


class Listener:
    """What the scheduler told of batches."""

    def __init__(self) -> None:
        self.reports: list[BatchReport] = []

    def admitted(self, tokens: int) -> None: ...
    def overloaded(self, tokens: int) -> None: ...
    def dropped(self, tokens: int, inputs: int, outcome: object) -> None: ...
    def batch(self, report: BatchReport) -> None:
        self.reports.append(report)


class Clocked:
    """A scheduler whose time the test sets."""

    def __init__(self, parallel: int = 1) -> None:
        self.now = 0.0
        self.engine, self.told = FakeEngine(parallel=parallel), Listener()
        self.scheduler = Scheduler(self.engine, Limits(256, 100_000), self.told, 1000, clock=lambda: self.now)
        self.scheduler.start()

    async def held(self) -> asyncio.Task[object]:
        """Hold the engine with one request."""
        self.engine.hold()
        task = asyncio.create_task(embed(self.scheduler, [[2000] * 20]))
        await asyncio.to_thread(self.engine.wait_until_busy)
        return task

    def probe(self, patience_seconds: float = 60, *, alone: bool = True) -> "asyncio.Task[Probed]":
        return asyncio.create_task(self.scheduler.probe([7, 8, 9], alone=alone, patience_seconds=patience_seconds))

    def close(self) -> None:
        self.engine.release()
        self.scheduler.close()


@pytest.fixture
def clocked():
    made = Clocked()
    yield made
    made.close()


async def test_an_idle_engine_gets_a_probe_at_once_and_nobody_counts_it(clocked):
    probed = await clocked.probe()
    assert np.array_equal(probed.vector, vector_of([7, 8, 9]))
    assert not probed.rode_along
    assert clocked.engine.batches[0].alone
    assert clocked.told.reports == []


async def test_a_probe_waits_for_all_requests_however_late_they_come(clocked):
    first = await clocked.held()
    probe = clocked.probe()
    await asyncio.sleep(0)
    later = [asyncio.create_task(embed(clocked.scheduler, [[number] * 20 * number])) for number in range(1, 7)]
    await asyncio.sleep(0)
    clocked.engine.release()
    await asyncio.gather(first, *later)
    probed = await probe
    assert not probed.rode_along
    assert list(clocked.engine.batches[-1].token_ids) == [[7, 8, 9]]


async def test_a_probe_waits_until_no_batch_runs_beside_it():
    clocked = Clocked(parallel=2)
    running = await clocked.held()
    probe = clocked.probe()
    assert not (await asyncio.wait({probe}, timeout=0.1))[0]
    clocked.engine.release()
    await asyncio.gather(running, probe)
    assert len(clocked.engine.batches) == 2
    await asyncio.to_thread(clocked.close)


async def test_a_probe_of_a_server_that_is_never_idle_becomes_one_more_row_of_a_batch(clocked):
    first = await clocked.held()
    probe = clocked.probe(patience_seconds=60)
    await asyncio.sleep(0)
    later = [asyncio.create_task(embed(clocked.scheduler, [[30] * 20])) for _ in range(3)]
    await asyncio.sleep(0)
    clocked.now = 61.0
    clocked.engine.release()
    *answers, probed = await asyncio.gather(first, *later, probe)
    assert probed.rode_along
    assert np.array_equal(probed.vector, vector_of([7, 8, 9]))
    assert [len(batch.token_ids) for batch in clocked.engine.batches] == [1, 4]
    assert list(clocked.engine.batches[1].token_ids)[-1] == [7, 8, 9]
    assert all(np.array_equal(answer.vectors[0], vector_of([30] * 20)) for answer in answers[1:])
    assert [(report.tokens, report.inputs, report.padding_tokens) for report in clocked.told.reports] == [
        (20, 1, 0),
        (60, 3, 0),
    ]


async def test_vectors_of_tokens_take_no_probe_along(clocked):
    first = await clocked.held()
    probe = clocked.probe(patience_seconds=0)
    await asyncio.sleep(0)
    tokens = asyncio.create_task(embed(clocked.scheduler, [[30] * 20], every_token=True))
    await asyncio.sleep(0)
    clocked.engine.release()
    _, answer, probed = await asyncio.gather(first, tokens, probe)
    assert answer.vectors.shape[0] == 20
    assert not probed.rode_along


async def test_after_drift_neither_running_nor_waiting_nor_new_requests_are_answered(clocked):
    running = await clocked.held()
    waiting = asyncio.create_task(embed(clocked.scheduler, [[40] * 20] * 3))
    await asyncio.sleep(0)
    clocked.scheduler.stop_answering()
    clocked.engine.release()
    for request in (running, waiting, embed(clocked.scheduler, [[50]])):
        with pytest.raises(EngineDrifted):
            await request
    assert len(clocked.engine.batches) == 1


async def drive(proof: Proof, nearness: Callable[[int], float], *, rides: bool = False):
    """Run four checks with an engine of which call N has a vector this near to the reference's; say what came of it."""
    calls: list[tuple[int, ...]] = []
    noted: list[tuple[CheckOutcome, float]] = []
    drifts: list[str] = []

    async def probe(ids: tuple[int, ...], *, alone: bool, patience_seconds: float) -> Probed:
        calls.append(ids)
        right = vector_of(ids)
        across = np.roll(right, 1) - right * float(np.roll(right, 1) @ right)
        near = nearness(len(calls))
        vector = near * right + np.sqrt(1 - near**2) * across / np.linalg.norm(across)
        return Probed(vector.astype(np.float32), rides)

    def note(outcome: CheckOutcome, cosine: float, at: datetime) -> None:
        noted.append((outcome, round(cosine, 4)))

    check = SelfCheck(proof, Standard(0.999, None), probe, note, drifts.append)
    for _ in range(4):
        if not await check.check(0):
            break
    return calls, noted[1:], drifts, check.last


async def test_checks_take_turns_over_all_texts():
    proof = fake_proof()
    calls, noted, drifts, last = await drive(proof, lambda _: 1.0)
    assert sorted(set(calls)) == sorted(proof.references.token_ids)
    assert noted == [(CheckOutcome.PASSED, 1.0)] * 4
    assert drifts == []
    assert last.texts == 5


async def test_a_busy_server_compares_one_short_text_each_time():
    calls, noted, _, last = await drive(fake_proof(), lambda _: 0.9995, rides=True)
    assert [len(ids) for ids in calls] == [3, 7, 3, 7]
    assert noted == [(CheckOutcome.PASSED, 0.9995)] * 4
    assert last.texts == 1


async def test_a_text_that_fails_once_and_passes_again_is_noted_and_no_drift():
    calls, noted, drifts, last = await drive(fake_proof(), lambda call: 0.2 if call == 3 else 1.0)
    assert calls[2] == calls[3]
    assert noted == [(CheckOutcome.RECOVERED, 1.0), *[(CheckOutcome.PASSED, 1.0)] * 3]
    assert drifts == []
    assert last.minimum_cosine == pytest.approx(1.0)


async def test_a_text_that_fails_twice_is_drift_and_the_message_says_how_far_and_since_when():
    calls, noted, drifts, last = await drive(fake_proof(), lambda call: 0.2 if call > 2 else 1.0)
    assert len(calls) == 4
    assert noted == [(CheckOutcome.DRIFTED, 0.2)]
    (words,) = drifts
    assert "a golden text of 19 tokens has a cosine of 0.200000 to its reference, twice, below the floor 0.999" in words
    assert "(2 other texts of this check passed)" in words
    assert "The last check that passed was at 2026-11-01 00:00:00 UTC" in words
    assert last == fake_proof().checked


def test_a_server_that_is_idle_checks_itself_and_says_when_it_did():
    with running_server(self_check_seconds=QUICKLY) as server:
        assert checks(server, "passed") >= 1  # the one at start
        soon("it has checked itself three times", lambda: checks(server, "passed") > 3)
        answer = httpx.post(f"{server.url}/v1/embeddings", json=INPUT)
        assert answer.status_code == 200
        at, cosine = answer.headers["x-embedplane-self-check"].split(";cosine=")
        assert float(cosine) == pytest.approx(1.0)
        assert datetime.fromisoformat(at) > fake_proof().checked.at
        told = httpx.get(f"{server.url}/info").json()["self_check"]
        assert datetime.fromisoformat(told["at"]) > fake_proof().checked.at
        assert (told["texts"], told["minimum_cosine"]) == (5, 1.0)
        assert [checks(server, outcome) for outcome in ("recovered", "drifted", "failed")] == [0, 0, 0]


def test_a_server_whose_check_is_off_has_only_that_of_its_start():
    with running_server(self_check_seconds=0) as server:
        assert httpx.get(f"{server.url}/info").json()["self_check"] == {
            "at": "2026-11-01T00:00:00Z",
            "texts": 10,
            "minimum_cosine": 1.0,
        }
        assert checks(server, "passed") == 1
        assert server.engine.batches == []


def test_a_server_whose_engine_drifts_gives_no_vector_any_more_names_it_and_ends():
    with running_server(self_check_seconds=QUICKLY, drain_delay_seconds=3) as server:
        server.engine.is_wrong = lambda number: number > 30
        soon("it is not ready", lambda: httpx.get(f"{server.url}/health/ready").status_code == 503)
        for path in ("/health/ready", "/health/live"):
            answer = httpx.get(f"{server.url}{path}")
            assert answer.status_code == 503
            assert answer.json()["error"]["message"].startswith(
                "Not now: VectorDrift: the engine's vectors have drifted"
            )
        answer = httpx.post(f"{server.url}/v1/embeddings", json=INPUT)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "vector_drift")
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["connection"] == "close"
        assert checks(server, "drifted") == 1
        assert (
            'embedplane_rejected_total{model="minilm",reason="vector_drift"' in httpx.get(f"{server.url}/metrics").text
        )
        server.thread.join(20)
        assert not server.thread.is_alive()


def test_a_flip_that_does_not_come_again_costs_no_server():
    with running_server(self_check_seconds=QUICKLY) as server:
        server.engine.is_wrong = lambda number: number == 12
        soon("it was noted", lambda: checks(server, "recovered") == 1)
        assert httpx.get(f"{server.url}/health/ready").status_code == 200
        assert httpx.post(f"{server.url}/v1/embeddings", json=INPUT).status_code == 200


def test_an_engine_that_fails_on_a_golden_text_is_noted_and_not_live():
    with running_server(self_check_seconds=QUICKLY) as server:
        server.engine.fails_on = set()
        soon("it is not live", lambda: httpx.get(f"{server.url}/health/live").status_code == 503)
        assert checks(server, "failed") >= 3
        assert checks(server, "drifted") == 0


def test_the_header_has_seconds_and_six_places():
    checked = Checked(datetime.fromisoformat("2026-11-26T01:02:03.456+00:00"), 8, 0.99981234)
    assert checked.header == b"2026-11-26T01:02:03Z;cosine=0.999812"
