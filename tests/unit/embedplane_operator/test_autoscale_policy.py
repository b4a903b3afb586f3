"""One decision at a time: how many replicas, and in which words."""

from dataclasses import replace

import pytest

from embedplane_operator.autoscale.behavior import History, Recommendation
from embedplane_operator.autoscale.observation import Missing, Observation
from embedplane_operator.autoscale.policy import Decision, Standing, decide, demanded
from embedplane_operator.autoscale.rules import ScalingRules

NOW = 10_000.0
RULES = ScalingRules(max_replicas=20)
QUIET = Observation(
    admitted=0, rejected=0, interactive_queue=0, bulk_queue=0, tokens=0, busy_replicas=0, series=20
)  # fmt: skip
LONG_AGO = History(recommendations=(Recommendation(0.0, 1, True),))
"""Watched for longer than any window."""


def observed(admitted: float, busy_replicas: float = 0.0, **numbers: float) -> Observation:
    tokens = numbers.pop("tokens", admitted)
    return replace(QUIET, admitted=admitted, tokens=tokens, busy_replicas=busy_replicas, **numbers)


def decided(
    observation: Observation | Missing,
    replicas: int = 1,
    ready: int | None = None,
    rules: ScalingRules = RULES,
    history: History = LONG_AGO,
    benchmark: float | None = 3100.0,
) -> Decision:
    standing = Standing(replicas, replicas if ready is None else ready, benchmark)
    return decide(rules, standing, observation, history, NOW)


def test_replicas_are_demand_over_capacity_at_the_target_utilization() -> None:
    decision = decided(observed(12_400), replicas=4)
    assert (decision.replicas, decision.reason, decision.is_active) == (5, "AsDemanded", True)
    assert decision.message == "12,400 tokens/s wanted, 3,100 per replica at 80 % -> 5 replicas"


def test_rejected_tokens_count_at_most_as_much_as_admitted_ones() -> None:
    assert demanded(observed(1000, rejected=400), RULES) == 1400
    assert demanded(observed(1000, rejected=90_000), RULES) == 2000


def test_queues_count_by_the_time_in_which_they_should_be_done() -> None:
    assert demanded(observed(10_000, interactive_queue=1000), RULES) == 12_000
    assert demanded(observed(10_000, bulk_queue=60_000), RULES) == 11_000
    patient = replace(RULES, target_queue_seconds=2, target_bulk_queue_seconds=600)
    assert demanded(observed(10_000, interactive_queue=1000, bulk_queue=60_000), patient) == 10_600


def test_queues_count_at_most_as_much_as_admitted_tokens() -> None:
    assert demanded(observed(1000, interactive_queue=600_000), RULES) == 2000


@pytest.mark.parametrize(("ready", "replicas"), [(0, 0), (1, 3)])
def test_servers_that_cannot_load_their_engine_make_room_unless_one_of_them_is_ready(ready: int, replicas: int) -> None:
    standing = Standing(3, ready, 3100.0, gives_way=True)

    decision = decide(RULES, standing, Missing("MetricsMissing", "Nothing."), LONG_AGO, NOW)

    assert decision.replicas == replicas
    assert (decision.reason == "MakingRoom") is (ready == 0)


def test_small_differences_are_within_the_tolerance() -> None:
    at_target = 3100 * 0.8 * 10
    assert decided(observed(at_target * 1.09), replicas=10).replicas == 10
    assert decided(observed(at_target * 0.91), replicas=10).replicas == 10
    assert decided(observed(at_target * 1.11), replicas=10).replicas == 12
    assert decided(observed(at_target * 0.89), replicas=10).replicas == 9


def test_maximum_and_minimum_bound_the_answer_and_say_so() -> None:
    up = decided(observed(1_000_000), replicas=19)
    assert (up.replicas, up.reason) == (20, "AtMaximum")
    assert "maxReplicas is 20" in up.message
    down = decided(observed(1), replicas=5, rules=replace(RULES, min_replicas=3))
    assert (down.replicas, down.reason) == (3, "AtMinimum")


@pytest.mark.parametrize("observation", [QUIET, Missing("MetricsMissing", "Nothing.")])
def test_outside_the_bounds_is_corrected_at_once_even_without_metrics(observation: Observation | Missing) -> None:
    rules = replace(RULES, min_replicas=4, max_replicas=6)
    below, above = decided(observation, 1, rules=rules), decided(observation, 50, rules=rules)
    assert (below.replicas, below.reason) == (4, "BelowMinimum")
    assert (above.replicas, above.reason) == (6, "AboveMaximum")


def test_missing_metrics_hold_and_carry_their_own_reason() -> None:
    decision = decided(Missing("MetricsUnavailable", "Prometheus at http://p did not answer."), replicas=7)
    assert (decision.replicas, decision.reason, decision.is_active) == (7, "MetricsUnavailable", False)
    assert decision.message == "Prometheus at http://p did not answer. Replicas stay at 7."


def test_fewer_series_than_ready_pods_are_missing_metrics() -> None:
    decision = decided(replace(observed(50_000), series=4), replicas=5)
    assert (decision.replicas, decision.reason, decision.is_active) == (5, "MetricsMissing", False)
    assert "4 of 5 ready pods" in decision.message


def test_more_series_than_ready_pods_are_complete() -> None:
    assert decided(replace(observed(12_400), series=9), replicas=8, ready=4).is_active


def test_no_ready_replica_is_no_reason_to_scale() -> None:
    decision = decided(QUIET, replicas=3, ready=0)
    assert (decision.replicas, decision.reason, decision.is_active) == (3, "NoReadyReplicas", False)


def test_capacity_is_the_benchmark_while_little_is_to_do() -> None:
    assert decided(observed(1000, busy_replicas=0.9, tokens=1000)).capacity == 3100


def test_capacity_is_measured_under_full_load() -> None:
    loaded = observed(2000, busy_replicas=1.0, tokens=2000, interactive_queue=2000)
    assert decided(loaded).capacity == 2000


def test_a_short_queue_is_not_full_load() -> None:
    assert decided(observed(2000, busy_replicas=1.0, interactive_queue=700)).capacity == 3100


def test_a_capacity_above_the_benchmark_needs_no_queue_to_be_believed() -> None:
    assert decided(observed(3500, busy_replicas=1.0)).capacity == 3500


def test_below_thirty_percent_busy_nothing_is_measured() -> None:
    assert decided(observed(1000, busy_replicas=0.29, interactive_queue=9000)).capacity == 3100


@pytest.mark.parametrize(("tokens", "capacity"), [(10, 775), (2000, 2000), (100_000, 4650)])
def test_a_measured_capacity_stays_within_bounds_of_the_benchmark(tokens: float, capacity: float) -> None:
    assert decided(observed(1000, busy_replicas=1, tokens=tokens, interactive_queue=9000)).capacity == capacity


def test_the_best_measurement_of_ten_minutes_counts() -> None:
    history = LONG_AGO.measured(NOW - 601, 3000, 600).measured(NOW - 599, 2500, 600).measured(NOW - 10, 2000, 600)
    assert decided(observed(100), history=history).capacity == 2500


def test_without_a_benchmark_replicas_wait_for_the_first_measurement() -> None:
    quiet = decided(observed(9000, busy_replicas=0.1), replicas=2, benchmark=None)
    assert (quiet.replicas, quiet.reason, quiet.is_active) == (2, "CapacityUnknown", False)
    loaded = observed(9000, busy_replicas=2, tokens=5000, interactive_queue=9000)
    assert decided(loaded, replicas=2, benchmark=None).replicas > 2


def test_a_scale_down_that_leaves_the_rest_too_busy_stops_where_it_would_not() -> None:
    decision = decided(observed(5000, busy_replicas=4.5, tokens=5000), replicas=10)
    assert (decision.replicas, decision.reason) == (6, "RemainingTooBusy")
    assert "fewer than 6 would be more than 80 % busy" in decision.message


def test_starting_replicas_are_not_taken_away_while_the_ready_ones_are_too_busy() -> None:
    assert decided(observed(100, busy_replicas=0.9), replicas=9, ready=1).replicas == 9


def test_a_wish_within_the_window_holds_a_scale_down_and_the_message_says_so() -> None:
    history = History(recommendations=(Recommendation(NOW - 100, 6, True),))
    decision = decided(observed(100), replicas=6, history=history)
    assert (decision.replicas, decision.reason) == (6, "ScaleDownStabilized")
    assert decision.message.endswith("waiting until that has held for 300 s; staying at 6")


def test_without_a_history_nothing_is_taken_away_but_replicas_may_be_added() -> None:
    assert decided(observed(100), replicas=6, history=History()).replicas == 6
    assert decided(observed(30_000), replicas=6, history=History()).replicas == 12


def test_a_limited_step_says_so() -> None:
    decision = decided(observed(40_000), replicas=2)
    assert (decision.replicas, decision.reason) == (6, "ScaleUpLimited")
    assert decision.message.endswith("spec.scaling.behavior allows 6 replicas now")


def test_a_paused_model_says_what_would_be_done() -> None:
    decision = decided(observed(12_400), replicas=4, rules=replace(RULES, is_paused=True))
    assert (decision.replicas, decision.reason, decision.is_active) == (5, "ScalingPaused", False)
    assert "stay at 4" in decision.message
    assert "-> 5 replicas" in decision.message


def test_mode_disabled_decides_nothing() -> None:
    decision = decided(observed(99_000), replicas=50, rules=replace(RULES, is_disabled=True, is_paused=True))
    assert (decision.replicas, decision.reason, decision.is_active) == (50, "ScalingDisabled", False)


def test_equal_bounds_need_no_metrics() -> None:
    rules = replace(RULES, min_replicas=3, max_replicas=3)
    decision = decided(Missing("PrometheusNotConfigured", "None."), replicas=3, rules=rules)
    assert (decision.replicas, decision.reason, decision.is_active) == (3, "FixedReplicas", True)
    assert decided(observed(7), replicas=3, rules=rules).observation == observed(7)
