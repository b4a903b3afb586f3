"""What a namespace's Embedplane pods may reach: names, and nothing else but what follows. No owner. Pure.

Jobs that ask a source reach it, servers the collector of their traces, all of them a store in object storage.

Who may call the servers is not limited here: that is the namespace owner's decision.
"""

from typing import Any
from urllib.parse import urlsplit

from embedplane_operator.kinds import Manifest
from embedplane_operator.render.manifest import ownership_labels, without_empty
from embedplane_operator.render.names import (
    BUILD,
    COLLECT,
    EXPORT,
    FETCH,
    FETCH_NETWORK_POLICY,
    LABEL_COMPONENT,
    LABEL_MANAGED_BY,
    MANAGED_BY,
    OFFLINE_NETWORK_POLICY,
    RESOLVE,
    SERVER,
    SERVER_NETWORK_POLICY,
)
from embedplane_operator.settings import Settings


def render_network_policies(namespace: str, settings: Settings) -> list[Manifest]:
    """Return the namespace's policies; none when the installation has them switched off."""
    if not settings.network_policy.enabled:
        return []
    given = settings.network_policy
    to_store = given.store_egress if settings.store.is_remote else ()
    further, telemetry, store = (
        [without_empty(rule) for rule in rules] for rules in (given.fetch_egress, given.telemetry_egress, to_store)
    )
    fetch = [_to_ports(("TCP", port)) for port in sorted({443, _hub_port(settings)})]
    return [
        _policy(namespace, settings, FETCH_NETWORK_POLICY, [FETCH, RESOLVE], [_names(), *fetch, *further, *store]),
        _policy(namespace, settings, SERVER_NETWORK_POLICY, [SERVER], [_names(), *telemetry, *store]),
        _policy(namespace, settings, OFFLINE_NETWORK_POLICY, [BUILD, COLLECT, EXPORT], [_names(), *store]),
    ]


def _policy(
    namespace: str, settings: Settings, name: str, components: list[str], egress: list[dict[str, Any]]
) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace, "labels": ownership_labels(settings)},
        "spec": {
            "podSelector": {
                "matchLabels": {LABEL_MANAGED_BY: MANAGED_BY},
                "matchExpressions": [{"key": LABEL_COMPONENT, "operator": "In", "values": components}],
            },
            "policyTypes": ["Egress"],
            "egress": egress,
        },
    }


def _names() -> Manifest:
    return _to_ports(("UDP", 53), ("TCP", 53))


def _to_ports(*ports: tuple[str, int]) -> Manifest:
    return {"ports": [{"protocol": protocol, "port": port} for protocol, port in ports]}


def _hub_port(settings: Settings) -> int:
    if settings.hub.endpoint is None:
        return 443
    url = urlsplit(settings.hub.endpoint)
    return url.port or (443 if url.scheme == "https" else 80)
