"""What the manifests of a model's servers promise: one space, the users' names and variables, time to end."""

from typing import Any

import pytest

from embedplane_operator.api.resolved import Resolved, read_resolved
from embedplane_operator.render.deployment import render_deployment, served_model_names
from embedplane_operator.render.disruption_budget import render_disruption_budget
from embedplane_operator.render.names import deployment_name, fetch_job_name, url_of
from embedplane_operator.render.probes import startup_seconds
from embedplane_operator.render.service import render_service
from tests.support.rendering import HUB, RICH, SPACE, model_of, pods, resolved, settings_of


def test_replicas_are_left_to_the_autoscaler() -> None:
    deployment = render_deployment(model_of(RICH), settings_of(), resolved())

    assert "replicas" not in deployment["spec"]


def test_service_deployment_and_budget_select_one_space() -> None:
    model, settings = model_of(RICH), settings_of()
    deployment = render_deployment(model, settings, resolved())
    selector = {"embedplane.io/model": "minilm", "embedplane.io/vector-space": SPACE}
    budget = render_disruption_budget(model, settings, SPACE)

    assert deployment["spec"]["selector"]["matchLabels"] == selector
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert render_service(model, settings, SPACE)["spec"]["selector"] == selector
    assert budget is not None
    assert budget["spec"]["selector"]["matchLabels"] == selector


def test_a_single_replica_has_no_budget_and_no_spread() -> None:
    deployment = render_deployment(model_of(HUB), settings_of(), resolved())

    assert render_disruption_budget(model_of(HUB), settings_of(), SPACE) is None
    assert "topologySpreadConstraints" not in deployment["spec"]["template"]["spec"]


def test_several_replicas_spread_unless_the_user_says_how() -> None:
    own = [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]

    def keys(spec: dict[str, Any]) -> list[str]:
        return [each["topologyKey"] for each in pods(spec)["serve"]["spec"]["topologySpreadConstraints"]]

    assert keys(RICH) == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert keys(RICH | {"podTemplate": {"topologySpreadConstraints": own}}) == ["rack"]


def test_the_grace_period_covers_drain_and_the_longest_request() -> None:
    spec = HUB | {"serving": {"drainDelaySeconds": 7, "maxRequestSeconds": 40}}

    assert pods(spec)["serve"]["spec"]["terminationGracePeriodSeconds"] == 52


def test_what_was_resolved_can_be_read_back_from_the_deployment() -> None:
    annotations = render_deployment(model_of(HUB), settings_of(), resolved())["metadata"]["annotations"]

    assert read_resolved(annotations) == resolved()
    assert annotations["embedplane.io/commit"] == resolved().source.commit
    assert annotations["embedplane.io/engine-key"] == resolved().engine.key


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"source": {}}', "not JSON"])
def test_an_annotation_that_cannot_be_read_says_nothing(text: str) -> None:
    assert read_resolved({"embedplane.io/resolved": text}) is None
    assert read_resolved({}) is None


def test_the_same_resolution_writes_the_same_annotation() -> None:
    copy = Resolved(**{name: getattr(resolved(), name).model_copy() for name in ("source", "vector_space", "engine")})

    assert copy.to_json() == resolved().to_json()


def test_served_names_default_to_object_repository_and_model() -> None:
    claim = {"source": {"persistentVolumeClaim": {"claimName": "models"}}}

    assert served_model_names(model_of(HUB)) == ["minilm", "a/b", "model"]
    assert served_model_names(model_of(claim, name="model")) == ["model"]
    assert served_model_names(model_of(HUB | {"servedModelNames": ["x"]})) == ["x"]


def test_the_longest_names_fit() -> None:
    model = model_of(HUB, name="m" * 40)

    assert len(fetch_job_name(model, "a" * 64)) <= 63
    assert len(deployment_name(model, SPACE)) <= 63
    assert deployment_name(model, SPACE).endswith("-01234567")
    assert url_of(model) == f"http://{'m' * 40}.search/v1/embeddings"


def test_a_large_model_gets_more_time_to_start() -> None:
    assert startup_seconds(0) < startup_seconds(8_000_000_000) < 3600


def test_the_users_variables_win_and_follow_ours() -> None:
    env = [{"name": "HOME", "value": "/elsewhere"}, {"name": "PROXY", "value": "p"}]
    written = pods(HUB | {"podTemplate": {"env": env}})

    assert written["serve"]["spec"]["containers"][0]["env"][0] == env[0]
    assert written["serve"]["spec"]["containers"][0]["env"][-1] == env[1]
    assert {"name": "HOME", "value": "/tmp"} in written["build"]["spec"]["containers"][0]["env"]


def test_scrape_annotations_can_be_switched_off() -> None:
    assert pods(HUB)["serve"]["metadata"]["annotations"]["prometheus.io/port"] == "8080"
    assert "annotations" not in pods(HUB, scrapeAnnotations=False)["serve"]["metadata"]
