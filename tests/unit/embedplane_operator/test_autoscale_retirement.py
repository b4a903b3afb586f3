"""A vector space that retires: down to 0 when it is measured that nobody asks, and never for want of a measurement."""

from dataclasses import replace

import pytest

from embedplane_operator.autoscale.behavior import History, Recommendation
from embedplane_operator.autoscale.observation import Missing, Observation
from embedplane_operator.autoscale.policy import Decision, Standing, decide
from embedplane_operator.autoscale.rules import ScalingRules

NOW = 10_000.0
RULES = ScalingRules(min_replicas=1, max_replicas=4)
IDLE = Observation(admitted=0, rejected=0, interactive_queue=0, bulk_queue=0, tokens=0, busy_replicas=0, series=9)
WATCHED = History(recommendations=(Recommendation(0.0, 0, True),))


def retiring(
    observation: Observation | Missing,
    replicas: int = 2,
    ready: int | None = None,
    rules: ScalingRules = RULES,
    history: History = WATCHED,
) -> Decision:
    standing = Standing(replicas, replicas if ready is None else ready, 3100.0, retires=True)
    return decide(rules, standing, observation, history, NOW)


def test_nobody_asks_so_no_server_is_kept_not_even_minreplicas() -> None:
    decision = retiring(IDLE)

    assert (decision.replicas, decision.reason) == (0, "Retiring")
    assert "no request reached it" in decision.message


@pytest.mark.parametrize("number", ["admitted", "rejected", "interactive_queue", "bulk_queue", "tokens"])
def test_whatever_still_reaches_it_keeps_every_server(number: str) -> None:
    assert retiring(replace(IDLE, **{number: 0.01})).replicas == 2


def test_a_request_within_the_window_keeps_every_server() -> None:
    asked = replace(WATCHED, recommendations=(*WATCHED.recommendations, Recommendation(NOW - 299, 2, True)))

    assert retiring(IDLE, history=asked).replicas == 2


def test_an_operator_that_has_just_started_watches_for_a_whole_window_first() -> None:
    assert retiring(IDLE, history=History()).replicas == 2


@pytest.mark.parametrize(
    ("observation", "ready", "reason"),
    [
        (Missing("MetricsUnavailable", "no answer"), 2, "MetricsUnavailable"),
        (replace(IDLE, series=1), 2, "MetricsMissing"),
        (IDLE, 0, "NoReadyReplicas"),
    ],
)
def test_missing_metrics_take_nothing_away(observation: Observation | Missing, ready: int, reason: str) -> None:
    decision = retiring(observation, ready=ready)

    assert (decision.replicas, decision.reason) == (2, reason)


def test_what_is_at_rest_stays_at_rest_though_minreplicas_says_more() -> None:
    assert retiring(Missing("MetricsMissing", "none"), replicas=0).replicas == 0


def test_a_fixed_number_of_replicas_retires_too() -> None:
    assert retiring(IDLE, rules=replace(RULES, max_replicas=1), replicas=1).replicas == 0


def test_disabled_leaves_a_retiring_space_to_whoever_scales() -> None:
    assert retiring(IDLE, rules=replace(RULES, is_disabled=True)).replicas == 2
