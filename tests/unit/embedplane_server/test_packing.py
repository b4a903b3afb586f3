"""Texts that share rows: how they are laid out, and which of them go into a batch for it."""

import asyncio
import random
from collections.abc import Iterator

import pytest

from embedplane_server.engines.packing import ROW, Layout, arrange, packed
from embedplane_server.engines.padding import padded_length
from embedplane_server.scheduling.waiting import Waiting
from embedplane_server.scheduling.work import Lane, Work


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def waiting_with(loop, *lengths: int, budget: int) -> Waiting:
    waiting = Waiting(budget, ROW)
    waiting.add(Work([[7] * length for length in lengths], Lane.BULK, 0.0, loop.create_future()), 1000.0)
    return waiting


def taken(waiting: Waiting) -> list[int]:
    return [len(unit.token_ids) for unit in waiting.take()]


def shapes_of_random_batches(count: int, budget: int, longest: int) -> set[tuple[int, int]]:
    """The shapes of so many batches of all sizes up to a budget, of texts of all lengths."""
    dice = random.Random(11)
    shapes = set()
    for _ in range(count):
        limit = dice.choice([8, 16, 32, 64, 128, longest])
        lengths = [dice.randint(1, limit)]
        while (len(lengths) + 1) * limit <= budget and dice.random() < 0.97:
            lengths.append(dice.randint(1, limit))
        layout = arrange(lengths)
        shapes.add((len(layout.rows), layout.length))
    return shapes


def random_lengths(seed: int, count: int, longest: int) -> list[int]:
    dice = random.Random(seed)
    return [dice.randint(1, longest) for _ in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_every_text_lies_whole_in_one_row(seed):
    lengths = random_lengths(seed, 1 + seed * 3, 20 + 15 * seed)
    layout = arrange(lengths)
    assert sorted(text for row in layout.rows for text in row) == list(range(len(lengths)))
    assert all(sum(lengths[text] for text in row) <= layout.length for row in layout.rows)


def test_each_text_is_found_again_with_its_own_positions():
    token_ids = [[number * 100 + place for place in range(length)] for number, length in enumerate([5, 30, 17, 64, 1])]
    inputs = packed(token_ids)
    for number, ids in enumerate(token_ids):
        places = inputs["places"][number][: len(ids)]
        assert inputs["input_ids"].ravel()[places].tolist() == ids
        assert inputs["position_ids"].ravel()[places].tolist() == list(range(len(ids)))
        assert set(inputs["owners"].ravel()[places].tolist()) == {number}
        assert (inputs["places"][number][len(ids) :] == -1).all()


def test_what_belongs_to_no_text_is_marked():
    inputs = packed([[7] * 20, [8] * 20])
    assert (inputs["owners"] == -1).sum() == inputs["input_ids"].size - 40


def test_a_text_alone_has_a_row_of_about_its_own_length():
    assert (arrange([10]).length, arrange([33]).length, arrange([257]).length) == (10, 40, 288)


def test_a_few_short_texts_share_one_row_of_the_form_that_a_text_alone_has():
    assert [arrange([4, 3]), arrange([5, 30, 12])] == [Layout(8, [[0, 1]]), Layout(48, [[1, 2, 0]])]


def test_thousands_of_batches_of_texts_of_all_lengths_have_few_shapes():
    alone = {(1, padded_length(length)) for length in range(1, 513)}
    shared = {(rows, length) for length in range(48, 129, 16) for rows in range(1, 768 // length + 1)}
    long = {(rows, length) for _, length in alone if length > 128 for rows in range(1, 768 // length + 1)}
    few = alone | shared | long
    assert len(few) < 120
    assert shapes_of_random_batches(4000, budget=768, longest=512) <= few


def test_a_budget_ten_times_as_large_has_three_times_as_many_shapes():
    assert len(shapes_of_random_batches(300, budget=7680, longest=512)) < 3 * 120


def test_rows_are_filled_up_to_a_number_on_a_grid_with_empty_ones():
    layout = arrange([60] * 27)
    assert (layout.length, [len(row) for row in layout.rows]) == (64, [1] * 27 + [0])
    inputs = packed([[7] * 60] * 27)
    assert inputs["input_ids"].shape == (28, 64)
    assert (inputs["owners"][27] == -1).all()


def test_batches_of_mixed_texts_are_less_than_a_tenth_padding(loop):
    dice = random.Random(3)
    lengths = [min(max(20, int(dice.lognormvariate(4.5, 0.55))), 255) for _ in range(1000)]
    waiting = waiting_with(loop, *lengths, budget=768)
    computed = 0
    while batch := taken(waiting):
        layout = arrange(batch)
        computed += len(layout.rows) * layout.length
    assert sum(lengths) > 0.9 * computed


def test_long_texts_have_rows_of_their_own():
    assert arrange([500, 490, 512]).rows == [[2], [0], [1]]


def test_short_texts_fill_rows_in_the_order_in_which_they_come():
    assert arrange([32, 32, 20, 22, 22]).rows == [[0, 1], [2, 3, 4]]


def test_a_batch_of_short_inputs_fills_whole_rows(loop):
    waiting = waiting_with(loop, *random_lengths(5, 600, 30), budget=512)
    batches = [taken(waiting) for _ in range(10)]
    assert sum(map(sum, batches)) > 0.97 * 10 * 512
    assert {len(arrange(batch).rows) for batch in batches} == {8}


def test_short_and_long_inputs_do_not_share_a_batch_of_rows(loop):
    waiting = waiting_with(loop, *[16, 100] * 30, budget=512)
    batches = [taken(waiting) for _ in range(9)]
    assert sorted(length for batch in batches for length in batch) == [16] * 30 + [100] * 30
    assert all(len(set(batch)) == 1 for batch in batches)


def test_a_batch_beside_others_has_full_rows_of_its_share(loop):
    waiting = waiting_with(loop, *[16] * 23, budget=512)
    assert len(waiting.take(4 * ROW)) == 16
    assert len(waiting.take(4 * ROW)) == 4  # 7 wait: the second row would not be full
    assert len(waiting.take(4 * ROW)) == 3
    assert waiting.take(4 * ROW) == []


def test_a_batch_that_is_alone_takes_the_rest_too(loop):
    waiting = waiting_with(loop, *[16] * 7, budget=512)
    assert len(waiting.take()) == 7


def test_a_budget_below_one_row_is_kept_to(loop):
    waiting = waiting_with(loop, 20, 20, budget=32)
    assert [taken(waiting), taken(waiting)] == [[20], [20]]


def test_the_most_overdue_input_is_in_the_next_batch(loop):
    waiting = Waiting(128, ROW)
    for number, length in enumerate([9, *[30] * 200]):
        waiting.add(Work([[7] * length], Lane.BULK, float(number), loop.create_future()), 1000.0)
    assert 9 in taken(waiting)


def test_every_input_is_taken_exactly_once_and_those_that_ended_are_passed_over(loop):
    works = [
        Work([[7] * length for length in random_lengths(seed, 40, 60)], Lane.BULK, 0.0, loop.create_future())
        for seed in range(10)
    ]
    waiting = Waiting(512, ROW)
    for work in works:
        waiting.add(work, 1000.0)
    works[3].ended = True
    found = []
    while units := waiting.take():
        found += [(id(unit.work), unit.index) for unit in units if not unit.work.ended]
    assert len(found) == len(set(found)) == 9 * 40
