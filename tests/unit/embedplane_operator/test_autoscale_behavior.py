"""Windows and rate limits mean what they mean in HorizontalPodAutoscaler v2."""

import pytest

from embedplane_operator.api.scaling import Scaling
from embedplane_operator.autoscale.behavior import Change, History, Recommendation, limited, stabilized
from embedplane_operator.autoscale.rules import ChangePolicy, DirectionRules, ScalingRules, rules_of

NOW = 1000.0
DEFAULTS = rules_of(Scaling(max_replicas=100))


def wanted_before(*points: tuple[float, int]) -> History:
    """Seconds ago and replicas."""
    return History(recommendations=tuple(Recommendation(NOW - ago, replicas, True) for ago, replicas in points))


def changed_before(*points: tuple[float, int]) -> History:
    return History(changes=tuple(Change(NOW - ago, replicas) for ago, replicas in points))


def direction(*policies: ChangePolicy, select: str = "Max", window: float = 0) -> DirectionRules:
    return DirectionRules(window, policies, select)  # type: ignore[arg-type]  # a word from a table


def pods(value: int, period: int = 60) -> ChangePolicy:
    return ChangePolicy("Pods", value, period)


def percent(value: int, period: int = 60) -> ChangePolicy:
    return ChangePolicy("Percent", value, period)


def test_the_api_defaults_are_those_of_autoscaling_v2() -> None:
    assert ScalingRules(max_replicas=100) == DEFAULTS
    assert DEFAULTS.scale_up == direction(percent(100, 15), pods(4, 15))
    assert DEFAULTS.scale_down == direction(percent(100, 15), window=300)


def test_spec_scaling_becomes_rules() -> None:
    scaling = Scaling.model_validate(
        {
            "minReplicas": 2,
            "maxReplicas": 9,
            "targetUtilizationPercent": 50,
            "mode": "Disabled",
            "behavior": {"scaleDown": {"selectPolicy": "Disabled"}},
        }
    )
    rules = rules_of(scaling, suspend=True)
    assert (rules.min_replicas, rules.max_replicas, rules.utilization) == (2, 9, 0.5)
    assert rules.is_disabled
    assert rules.is_paused
    assert rules.scale_down.select_policy == "Disabled"


def test_down_goes_to_the_highest_of_the_window() -> None:
    assert stabilized(2, 9, wanted_before((290, 7), (200, 4), (301, 9)), DEFAULTS, NOW) == 7


def test_up_is_immediate_without_a_window() -> None:
    assert stabilized(9, 2, wanted_before((15, 2), (30, 1)), DEFAULTS, NOW) == 9


def test_up_goes_to_the_lowest_of_its_window() -> None:
    rules = ScalingRules(max_replicas=100, scale_up=direction(percent(100), window=60))
    assert stabilized(9, 2, wanted_before((15, 5), (50, 6), (70, 2)), rules, NOW) == 5
    assert stabilized(9, 6, wanted_before((15, 5)), rules, NOW) == 6


def test_what_was_not_measured_delays_only_a_scale_down() -> None:
    rules = ScalingRules(scale_up=direction(percent(100), window=60))
    history = History(recommendations=(Recommendation(NOW - 15, 5, False),))
    assert stabilized(2, 5, history, rules, NOW) == 5
    assert stabilized(9, 5, history, rules, NOW) == 9


@pytest.mark.parametrize(
    ("current", "history", "most"),
    [
        (1, History(), 5),
        (10, History(), 20),
        (10, changed_before((10, 5)), 10),  # doubled from 5 already
        (10, changed_before((10, 3)), 14),  # started at 7
        (10, changed_before((20, 5)), 20),  # that was in another period
        (10, changed_before((10, -10)), 40),  # started at 20: what was taken away may come back and double
    ],
)
def test_by_default_replicas_double_or_grow_by_four_per_period(current: int, history: History, most: int) -> None:
    assert limited(1000, current, history, DEFAULTS, NOW) == most


@pytest.mark.parametrize(
    ("down", "fewest"),
    [
        (direction(percent(100)), 0),
        (direction(percent(10)), 9),
        (direction(percent(25)), 7),  # 7.5, rounded down as the HPA does
        (direction(pods(1)), 9),
        (direction(pods(1), percent(50)), 5),
        (direction(pods(1), percent(50), select="Min"), 9),
        (direction(percent(100), select="Disabled"), 10),
    ],
)
def test_policies_limit_how_much_is_taken_away(down: DirectionRules, fewest: int) -> None:
    assert limited(0, 10, History(), ScalingRules(scale_down=down), NOW) == fewest


@pytest.mark.parametrize(
    ("up", "most"),
    [
        (direction(percent(10)), 11),
        (direction(percent(15)), 12),  # 11.5, rounded up as the HPA does
        (direction(pods(1), percent(50)), 15),
        (direction(pods(1), percent(50), select="Min"), 11),
        (direction(pods(5), select="Disabled"), 10),
    ],
)
def test_policies_limit_how_much_is_added(up: DirectionRules, most: int) -> None:
    assert limited(1000, 10, History(), ScalingRules(scale_up=up), NOW) == most


def test_removals_in_the_period_use_up_what_a_policy_allows() -> None:
    rules = ScalingRules(scale_down=direction(pods(2, 60)))
    assert limited(0, 10, changed_before((30, -1)), rules, NOW) == 9
    assert limited(0, 10, changed_before((30, -2)), rules, NOW) == 10
    assert limited(0, 10, changed_before((30, -5)), rules, NOW) == 10


def test_history_forgets_what_no_window_reaches() -> None:
    history = History()
    for tick in range(100):
        history = history.recommended(Recommendation(tick * 15.0, tick, True), DEFAULTS)
        history = history.changed(Change(tick * 15.0, 1), DEFAULTS)
        history = history.measured(tick * 15.0, 3000.0, 600)
    assert len(history.recommendations) <= 300 / 15 + 1
    assert len(history.changes) <= 2
    assert len(history.capacities) <= 600 / 15 + 1
