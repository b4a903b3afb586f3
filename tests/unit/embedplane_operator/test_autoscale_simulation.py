"""The policy in a closed loop with a simulated model: it finds enough replicas, and neither flaps nor runs away."""

import math
from collections.abc import Callable

import pytest

from embedplane_operator.autoscale.rules import ScalingRules
from tests.support.simulation import Arrivals, Simulation, Trace, World

CAPACITY = 3000.0
RULES = ScalingRules(max_replicas=100)
HOUR = 3600
Load = Callable[[float], Arrivals]


def steady(tokens: float) -> Load:
    return lambda _: Arrivals(tokens)


def step(before: float, after: float, at: float = 300) -> Load:
    return lambda time: Arrivals(before if time < at else after)


def needed(tokens: float, capacity: float = CAPACITY) -> int:
    return math.ceil(tokens / (capacity * RULES.utilization))


def run(world: World, replicas: int = 1, seconds: int = HOUR, rules: ScalingRules = RULES) -> Trace:
    return Simulation(world, rules, replicas).run(seconds)


def test_steady_load_within_one_replica_changes_nothing() -> None:
    assert run(World(steady(2000))).changes == []


@pytest.mark.parametrize("replicas", [1, 3, 20])
def test_steady_load_converges_to_what_it_needs_from_anywhere(replicas: int) -> None:
    trace = run(World(steady(7000)), replicas)
    assert set(trace.between(900).replicas) == {needed(7000)}
    assert trace.reversals <= 1


def test_noise_around_a_steady_load_does_not_flap() -> None:
    world = World(lambda time: Arrivals(7000 * (1 + 0.15 * math.sin(time / 16) + 0.1 * math.sin(time * 2.4))))
    trace = run(world, replicas=3)
    assert trace.reversals <= 1
    assert trace.between(1200).changes == []


def test_a_step_is_met_quickly_overshoots_at_most_twofold_and_settles() -> None:
    trace = run(World(step(1000, 10000)))
    assert min(trace.between(420).replicas) >= needed(10000)
    assert max(trace.replicas) <= 2 * needed(10000)
    assert set(trace.between(1500).replicas) == {needed(10000)}
    assert trace.reversals <= 1
    assert trace.moments[-1].queued == 0


@pytest.mark.parametrize("start_seconds", [5, 40, 180, 600])
def test_pods_that_start_slowly_cause_no_run_away(start_seconds: float) -> None:
    trace = run(World(step(1000, 10000), start_seconds=start_seconds), seconds=2 * HOUR)
    assert max(trace.replicas) <= 2 * needed(10000)
    assert min(trace.between(600).replicas) >= needed(10000)
    assert trace.reversals <= 5
    assert set(trace.between(5400).replicas) == {needed(10000)}


def test_a_fall_is_followed_only_after_the_window_and_never_starves_what_is_left() -> None:
    trace = run(World(step(20000, 1000, at=900)), replicas=10)
    assert min(trace.between(0, 1200).replicas) >= 9
    assert set(trace.between(1500).replicas) == {1}
    assert trace.reversals == 0
    assert all(moment.queued == 0 for moment in trace.moments)


def test_regular_bursts_move_by_one_replica_at_most_once_per_window() -> None:
    trace = run(World(lambda time: Arrivals(8000 if time % 120 < 20 else 500)), seconds=2 * HOUR)
    settled = trace.between(900)
    assert max(settled.replicas) - min(settled.replicas) <= 1
    assert len(settled.changes) <= 2 * (2 * HOUR - 900) / 300
    assert max(trace.replicas) <= 2 * needed(8000)


def test_one_huge_request_is_bounded_and_forgotten() -> None:
    trace = run(World(lambda time: Arrivals(500, bulk=600_000 if time == 300 else 0)))
    assert max(trace.replicas) <= 10
    assert trace.reversals == 1
    assert set(trace.between(1200).replicas) == {1}


def test_one_long_queue_on_a_quiet_model_never_reaches_the_maximum() -> None:
    """Divided by targetQueueSeconds alone this queue asks for 100 replicas, none of which could take it over."""
    trace = run(World(lambda time: Arrivals(500 + (100_000 if time == 300 else 0))))
    assert max(trace.replicas) <= 4
    assert set(trace.between(1200).replicas) == {1}


def test_half_of_the_promised_capacity_is_noticed() -> None:
    trace = run(World(step(1000, 10000), capacity=CAPACITY / 2, benchmark=CAPACITY), seconds=3 * HOUR)
    need = needed(10000, CAPACITY / 2)
    assert min(trace.between(600).replicas) >= need
    assert max(trace.replicas) <= 3 * need
    assert trace.reversals <= 3
    assert set(trace.between(2 * HOUR).replicas) == {need}
    assert min(m.decision.capacity or CAPACITY for m in trace.moments) == pytest.approx(CAPACITY / 2, rel=0.01)


def test_half_of_the_promised_capacity_is_still_enough_when_the_load_falls() -> None:
    trace = run(World(step(10000, 3500, at=900), capacity=CAPACITY / 2, benchmark=CAPACITY), replicas=9)
    assert min(trace.between(900).replicas) >= 3500 / (CAPACITY / 2)
    assert all(moment.queued == 0 for moment in trace.between(60).moments)
    assert trace.reversals <= 1


def test_a_tenth_of_the_promised_capacity_grows_only_as_far_as_the_bounds_allow() -> None:
    trace = run(World(step(500, 2000), capacity=300, benchmark=CAPACITY), seconds=2 * HOUR)
    assert max(trace.replicas) <= 3 * needed(2000, CAPACITY / 4)
    assert trace.reversals <= 2


@pytest.mark.parametrize("lone_rate", [1500, 700, 100])
def test_small_batches_are_not_taken_for_a_small_capacity(lone_rate: float) -> None:
    """More replicas make smaller batches, those fewer tokens per busy second, and those would ask for more replicas."""
    trace = run(World(steady(6000), lone_rate=lone_rate), replicas=3)
    assert max(trace.replicas) <= needed(6000) + 1
    assert trace.reversals <= 1


def test_more_than_the_promised_capacity_saves_replicas() -> None:
    trace = run(World(step(1000, 20000), capacity=1.4 * CAPACITY, benchmark=CAPACITY), seconds=2 * HOUR)
    assert set(trace.between(2400).replicas) == {needed(20000, 1.4 * CAPACITY)}
    assert trace.reversals <= 1


def test_prometheus_down_changes_nothing_in_either_direction() -> None:
    world = World(step(10000, 100, at=900), is_prometheus_down=lambda time: 600 < time < 2400)
    trace = run(world, replicas=5)
    assert set(trace.between(600, 2400).replicas) == {5}
    assert set(trace.between(615, 2400).reasons) == {"MetricsUnavailable"}


def test_after_an_outage_a_full_window_is_watched_before_anything_is_taken_away() -> None:
    world = World(step(10000, 100, at=900), is_prometheus_down=lambda time: 600 < time < 2400)
    trace = run(world, replicas=5)
    assert set(trace.between(2400, 2670).replicas) == {5}
    assert set(trace.between(2760).replicas) == {1}


def test_growth_during_an_outage_is_made_up_for_at_once() -> None:
    world = World(step(1000, 10000, at=900), is_prometheus_down=lambda time: 600 < time < 1500)
    trace = run(world)
    assert set(trace.between(600, 1500).replicas) == {1}
    assert min(trace.between(1600).replicas) >= needed(10000)


def test_pods_that_are_not_scraped_never_scale_down() -> None:
    world = World(step(10000, 100, at=900), are_scrapes_lost=lambda time, pod: time > 700 and pod == 0)
    trace = run(world, replicas=5)
    assert set(trace.between(720).replicas) == {5}
    assert "MetricsMissing" in trace.reasons


def test_series_of_new_pods_that_appear_late_delay_but_do_not_confuse() -> None:
    trace = run(World(step(1000, 10000), discovery_seconds=60))
    assert max(trace.replicas) <= 2 * needed(10000)
    assert set(trace.between(1500).replicas) == {needed(10000)}
    assert trace.reversals <= 1


def test_a_restarted_operator_takes_nothing_away_before_it_watched_for_a_window() -> None:
    simulation = Simulation(World(step(10000, 100, at=600)), RULES, replicas=5)
    simulation.run(870)
    simulation.restart_operator()
    trace = simulation.run(HOUR)
    assert set(trace.between(870, 1160).replicas) == {5}
    assert set(trace.between(1300).replicas) == {1}


def test_an_operator_that_restarts_for_ever_only_keeps_too_many() -> None:
    simulation = Simulation(World(step(10000, 100, at=600)), RULES, replicas=5)
    for _ in range(10):
        trace = simulation.run(240)
        simulation.restart_operator()
    assert trace.changes == []


@pytest.mark.parametrize("scrape_seconds", [5, 15, 30, 60])
def test_any_usual_scrape_interval_converges(scrape_seconds: int) -> None:
    trace = run(World(step(1000, 10000), scrape_seconds=scrape_seconds), seconds=2 * HOUR)
    assert max(trace.replicas) <= 2.5 * needed(10000)
    assert set(trace.between(3000).replicas) == {needed(10000)}
    assert trace.reversals <= 3


def test_a_day_of_waves_follows_the_load_without_starving() -> None:
    world = World(lambda time: Arrivals(10000 + 9000 * math.sin(time / 7200 * math.tau)), max_queued_tokens=60_000)
    trace = run(world, replicas=5, seconds=4 * 7200)
    assert all(moment.replicas * CAPACITY >= moment.arriving for moment in trace.between(900).moments)
    assert max(trace.replicas) <= 2 * needed(19000)
    assert trace.reversals <= 8
