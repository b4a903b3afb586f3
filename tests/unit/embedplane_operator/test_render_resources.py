"""CPUs and threads of servers and builds."""

from typing import Any

import pytest

from embedplane_operator.api.pods import ResourceRequirements
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.resources import cpus_of, threads_for
from tests.support.rendering import (
    HUB,
    pods,
)


@pytest.mark.parametrize(
    ("quantity", "cpus"),
    [("500m", 0.5), (2, 2), ("1.5", 1.5), ("2k", 2000), ("100u", 0.0001), ("5n", 5e-9), (".5", 0.5)],
)
def test_quantities_of_cpus_are_read(quantity: int | str, cpus: float) -> None:
    assert float(cpus_of(quantity)) == cpus


@pytest.mark.parametrize(
    ("requests", "limits", "threads"),
    [
        ({}, {}, 1),
        ({"cpu": "100m"}, {}, 1),
        ({"cpu": "1500m"}, {}, 2),
        ({"cpu": "1"}, {"cpu": "4"}, 4),
        ({"memory": "1Gi"}, {"memory": "1Gi"}, 1),
    ],
)
def test_threads_follow_the_limit_else_the_request(
    requests: dict[str, str], limits: dict[str, str], threads: int
) -> None:
    assert threads_for(ResourceRequirements(requests=requests, limits=limits)) == threads


def test_a_build_has_the_servers_cpus_unless_the_model_names_its_own() -> None:
    installation = {"build": {"resources": {"requests": {"cpu": "8", "memory": "1Gi"}}}}
    serving = HUB | {"resources": {"limits": {"cpu": "2"}}}
    own = serving | {"engine": {"jobs": {"resources": {"requests": {"cpu": "3"}}}}}

    def resources(spec: dict[str, Any]) -> Manifest:
        found: Manifest = pods(spec, jobs=installation)["build"]["spec"]["containers"][0]["resources"]
        return found

    assert resources(HUB) == {"requests": {"cpu": "8", "memory": "1Gi"}}
    assert resources(serving) == {"requests": {"memory": "1Gi"}, "limits": {"cpu": "2"}}
    assert resources(own) == {"requests": {"cpu": "3"}}
