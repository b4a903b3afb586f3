"""What goes into a batch: the pure part of scheduling."""

import asyncio
import random
from collections.abc import Iterator
from itertools import islice

import pytest

from embedplane_server.scheduling.waiting import Waiting
from embedplane_server.scheduling.work import Lane, Unit, Work

SPEED = 1000.0


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def work_of(loop, *lengths: int, lane: Lane = Lane.BULK, arrived: float = 0.0) -> Work:
    return Work([[7] * length for length in lengths], lane, arrived, loop.create_future())


def waiting_with(*works: Work, budget: int) -> Waiting:
    waiting = Waiting(budget)
    for work in works:
        waiting.add(work, SPEED)
    return waiting


def batches(waiting: Waiting) -> Iterator[list[Unit]]:
    while units := waiting.take():
        yield units


def lengths(units: list[Unit]) -> list[int]:
    return [len(unit.token_ids) for unit in units]


def test_nothing_waiting_is_no_batch(loop):
    assert Waiting(100).take() == []


def test_a_batch_takes_what_fits_the_token_budget(loop):
    waiting = waiting_with(work_of(loop, *[16] * 25), budget=160)
    assert [len(units) for units in batches(waiting)] == [10, 10, 5]


def test_lengths_that_an_engine_pads_to_the_same_go_together(loop):
    waiting = waiting_with(work_of(loop, *[33, 40] * 50), budget=4000)
    assert sorted(lengths(waiting.take())) == [33] * 50 + [40] * 50


def test_a_batch_beside_others_takes_its_share(loop):
    waiting = waiting_with(work_of(loop, *[16] * 25), budget=160)
    assert len(waiting.take(100)) == 6
    assert len(waiting.take(1000)) == 10
    assert len(waiting.take(1)) == 1


def test_an_input_larger_than_the_budget_goes_alone(loop):
    waiting = waiting_with(work_of(loop, 500, 500), budget=100)
    assert [lengths(units) for units in batches(waiting)] == [[500], [500]]


def test_every_input_is_taken_exactly_once(loop):
    dice = random.Random(1)
    works = [work_of(loop, *(dice.randint(1, 512) for _ in range(dice.randint(1, 60)))) for _ in range(20)]
    taken = [(id(unit.work), unit.index) for units in batches(waiting_with(*works, budget=2048)) for unit in units]
    assert len(taken) == len(set(taken)) == sum(len(work.token_ids) for work in works)


def test_mixed_lengths_make_batches_with_little_padding(loop):
    dice = random.Random(2)
    works = [work_of(loop, *(min(512, int(dice.lognormvariate(4.3, 0.7)) + 3) for _ in range(32))) for _ in range(32)]
    real = padded = 0
    for units in batches(waiting_with(*works, budget=2048)):
        real += sum(lengths(units))
        padded += max(lengths(units)) * len(units)
        assert len(units) == 1 or max(lengths(units)) * len(units) <= 2048
    assert (padded - real) / padded < 0.1


def test_batches_are_large_while_enough_waits(loop):
    dice = random.Random(3)
    works = [work_of(loop, *(dice.randint(20, 255) for _ in range(32))) for _ in range(16)]
    sizes = [sum(lengths(units)) for units in islice(batches(waiting_with(*works, budget=2048)), 15)]
    assert sum(sizes) / len(sizes) > 0.6 * 2048


def test_a_few_short_texts_go_together_although_they_are_padded(loop):
    waiting = waiting_with(work_of(loop, 5, 12, 20), budget=2048)
    assert sorted(lengths(waiting.take())) == [5, 12, 20]


def test_requests_of_many_inputs_share_the_batches(loop):
    first, second = work_of(loop, *[10] * 100), work_of(loop, *[10] * 100, arrived=0.0)
    waiting = waiting_with(first, second, budget=100)
    of_second = [unit for units in islice(batches(waiting), 4) for unit in units if unit.work is second]
    assert 16 <= len(of_second) <= 24


def test_requests_of_a_batch_or_less_that_came_together_do_not_end_together(loop):
    works = [work_of(loop, *[15] * 32, arrived=0.001 * number) for number in range(8)]
    last_batch = {
        unit.work: number for number, units in enumerate(batches(waiting_with(*works, budget=768))) for unit in units
    }
    assert [last_batch[work] for work in works] == [0, 1, 1, 2, 3, 3, 4, 5]


def test_the_longest_waiting_input_is_in_the_next_batch_whatever_its_length(loop):
    waiting = waiting_with(
        work_of(loop, 400), *(work_of(loop, *[10] * 50, arrived=0.1 * number) for number in range(1, 20)), budget=2048
    )
    assert lengths(waiting.take()) == [400]


def test_no_input_starves_while_new_requests_keep_coming(loop):
    waiting = waiting_with(work_of(loop, *[40] * 200), budget=400)
    taken = 0
    for number in range(400):
        waiting.add(work_of(loop, *[40] * 10, arrived=0.4 * number), SPEED)
        units = waiting.take()
        taken += sum(unit.work.arrived == 0.0 and len(unit.work.token_ids) == 200 for unit in units)
    assert taken == 200


def test_an_interactive_input_goes_before_bulk_inputs_that_came_first(loop):
    bulk = work_of(loop, *[10] * 100)
    interactive = work_of(loop, 10, lane=Lane.INTERACTIVE, arrived=5.0)
    waiting = waiting_with(bulk, interactive, budget=100)
    assert [unit.work for unit in waiting.take()] == [interactive]


def test_bulk_inputs_keep_a_share_while_interactive_ones_never_stop(loop):
    waiting = waiting_with(work_of(loop, *[10] * 100), budget=10)
    lanes = []
    for number in range(12):
        waiting.add(work_of(loop, 10, lane=Lane.INTERACTIVE, arrived=number), SPEED)
        lanes.append(waiting.take()[0].work.lane)
    assert lanes.count(Lane.BULK) == 3


def test_interactive_batches_before_bulk_work_came_do_not_count_against_the_lane(loop):
    waiting = Waiting(10)
    for number in range(5):
        waiting.add(work_of(loop, 10, lane=Lane.INTERACTIVE, arrived=number), SPEED)
        waiting.take()
    waiting.add(work_of(loop, *[10] * 10), SPEED)
    waiting.add(work_of(loop, 10, lane=Lane.INTERACTIVE), SPEED)
    assert waiting.take()[0].work.lane is Lane.INTERACTIVE


def test_inputs_of_an_ended_request_are_passed_over(loop):
    left, stays = work_of(loop, *[10] * 30), work_of(loop, 10, 11)
    waiting = waiting_with(left, stays, budget=100)
    left.ended = True
    assert {unit.work for units in batches(waiting) for unit in units} == {stays}


def test_a_request_that_ended_lets_go_of_its_tokens(loop):
    left = work_of(loop, 10, 10)
    waiting = waiting_with(work_of(loop, 10), left, budget=100)
    left.end()
    assert left.token_ids == ()
    assert [lengths(batch) for batch in batches(waiting)] == [[10]]


def test_requests_that_ended_do_not_pile_up_behind_one_that_waits(loop):
    waits = work_of(loop, 10)
    waiting = waiting_with(waits, budget=100)
    for _ in range(20):
        left = work_of(loop, *[5, 10] * 1000)
        waiting.add(left, SPEED)
        left.end()
        waiting.sweep(alive=1)
        assert len(waiting) <= 12_002
    assert [unit.work for batch in batches(waiting) for unit in batch] == [waits]
