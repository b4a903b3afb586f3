"""Who may leave the cluster, and to where."""

import pytest

from embedplane_operator.kinds import Manifest
from embedplane_operator.render.network_policies import render_network_policies
from tests.support.rendering import settings_of


def components(policy: Manifest) -> list[str]:
    values: list[str] = policy["spec"]["podSelector"]["matchExpressions"][0]["values"]
    return values


def test_only_jobs_that_ask_the_source_may_leave_the_cluster() -> None:
    fetch, server, offline = render_network_policies("search", settings_of(hub={"endpoint": "http://hub:8089"}))

    def ports(policy: Manifest) -> set[int]:
        return {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}

    assert ports(fetch) == {53, 443, 8089}
    assert components(fetch) == ["fetch", "resolve"]
    assert ports(server) == ports(offline) == {53}
    assert components(server) + components(offline) == ["server", "build", "collect", "export"]


def test_servers_reach_the_collector_and_jobs_do_not() -> None:
    collector = {"to": [{"namespaceSelector": {"matchLabels": {"name": "observability"}}}], "ports": [{"port": 4318}]}
    settings = settings_of(networkPolicy={"telemetryEgress": [collector]})

    reaching = [
        policy for policy in render_network_policies("search", settings) if collector in policy["spec"]["egress"]
    ]

    assert [components(policy) for policy in reaching] == [["server"]]


@pytest.mark.parametrize(("endpoint", "port"), [("http://hub", 80), ("https://hub", 443)])
def test_a_hub_without_port_has_its_schemes(endpoint: str, port: int) -> None:
    fetch, *_ = render_network_policies("search", settings_of(hub={"endpoint": endpoint}))

    assert {"ports": [{"protocol": "TCP", "port": port}]} in fetch["spec"]["egress"]


def test_policies_can_be_switched_off() -> None:
    assert render_network_policies("search", settings_of(networkPolicy={"enabled": False})) == []
