"""Calling a served model from this machine: ClusterIPs of the local cluster are routed from the host."""

import httpx
from openai import OpenAI

from tests.support.kubectl import Kubectl
from tests.support.waiting import wait_for


def address_of(kubectl: Kubectl, name: str) -> str:
    """Return the base URL of a model's Service, as seen from this machine, once requests get through.

    That a server is ready is known before each node's proxy has heard of it.
    """
    service = kubectl.get("service", name)
    assert service is not None, f"no Service {name}"
    url = f"http://{service['spec']['clusterIP']}"
    wait_for(f"{url} answers", lambda: _answers(url), explain=lambda: kubectl.explain(name))
    return url


def client_of(kubectl: Kubectl, name: str) -> OpenAI:
    """Return the openai client of a model; it keeps no connection, so nothing is left open when a test lets it go."""
    once = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0))
    return OpenAI(
        base_url=f"{address_of(kubectl, name)}/v1", api_key="unused", max_retries=2, timeout=60, http_client=once
    )


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=5).is_success
    except httpx.HTTPError:
        return False
