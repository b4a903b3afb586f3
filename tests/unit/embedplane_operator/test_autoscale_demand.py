"""Samples become observations, and what is not there never becomes a zero. The PromQL itself is asked of a real
Prometheus in test_prometheus_answers.py."""

from embedplane_operator.autoscale.demand import STATISTIC, DemandQueries, LabelNames, Space, missing_space
from embedplane_operator.autoscale.observation import Missing, Observation
from embedplane_operator.prometheus import Sample

QUERIES = DemandQueries()
SPACE = Space("search", "minilm", "vs1-abc")
VALUES = {
    "admitted": 100.0,
    "rejected": 5.0,
    "interactive_queue": 40.0,
    "bulk_queue": 2.0,
    "tokens": 90.0,
    "busy_replicas": 0.5,
}


def answers(
    values: dict[str, float], series: dict[str, float] | None = None, space: Space = SPACE
) -> dict[str, list[Sample]]:
    labels = {"namespace": space.namespace, "model": space.model, "vector_space": space.vector_space}
    series = series or {}
    return {
        name: [
            Sample({**labels, STATISTIC: "sum"}, value),
            Sample({**labels, STATISTIC: "series"}, series.get(name, 3.0)),
        ]
        for name, value in values.items()
    }


def test_complete_answers_make_an_observation() -> None:
    assert QUERIES.observations(answers(VALUES)) == {SPACE: Observation(**VALUES, series=3)}


def test_the_least_number_of_series_counts() -> None:
    found = QUERIES.observations(answers(VALUES, {"tokens": 2.0}))[SPACE]
    assert isinstance(found, Observation)
    assert found.series == 2


def test_one_absent_number_is_missing_by_name_and_not_zero() -> None:
    found = QUERIES.observations({**answers(VALUES), "rejected": []})[SPACE]
    assert isinstance(found, Missing)
    assert found.reason == "MetricsMissing"
    assert "rejected" in found.message


def test_a_sum_of_pods_that_all_stopped_reporting_is_missing() -> None:
    only_sums = {name: samples[:1] for name, samples in answers(VALUES).items()}
    assert isinstance(QUERIES.observations(only_sums)[SPACE], Missing)


def test_no_samples_at_all_are_no_observation() -> None:
    assert QUERIES.observations({name: [] for name in VALUES}) == {}
    assert missing_space(SPACE).reason == "MetricsMissing"


def test_samples_without_our_labels_are_nobodys() -> None:
    stray = Sample({"model": "minilm", STATISTIC: "sum"}, 9.0)
    assert QUERIES.observations({"admitted": [stray]}) == {}


def test_models_of_one_name_in_two_namespaces_stay_apart() -> None:
    other = Space("shop", "minilm", "vs1-abc")
    both = {name: samples + answers(VALUES, space=other)[name] for name, samples in answers(VALUES).items()}
    assert set(QUERIES.observations(both)) == {SPACE, other}


def test_label_names_and_matchers_stand_in_every_query() -> None:
    queries = DemandQueries(LabelNames("exported_namespace", "em", "space"), ('cluster="a"', 'job=~"x|y"'))
    for text in queries.promql().values():
        assert "by (exported_namespace, em, space)" in text
        assert text.count('cluster="a", job=~"x|y"}') == text.count("embedplane_") - text.count(STATISTIC)


def test_an_engine_that_did_nothing_has_no_rate_per_busy_second() -> None:
    idle = Observation(0, 0, 0, 0, 0, 0, series=1)
    assert idle.tokens_per_busy_second == 0
