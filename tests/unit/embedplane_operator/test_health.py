"""The operator's own ports answer probes and scrapes, over IPv4 and, where the machine has it, over IPv6."""

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from embedplane_operator.health import Addresses, HealthServer, Pulse
from embedplane_operator.metrics import Metrics
from tests.support.ports import free_port

LOOPBACKS = ["127.0.0.1", *(["[::1]"] if socket.has_dualstack_ipv6() else [])]


@pytest.fixture
async def ports() -> AsyncIterator[tuple[int, int]]:
    health = HealthServer(Pulse(), Metrics(), lambda: None)
    health.started = True
    addresses = Addresses(None, free_port("0.0.0.0"), free_port("0.0.0.0"))
    await health.start(addresses)
    yield addresses.health_port, addresses.metrics_port
    await health.stop()


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_probes_and_scrapes_reach_every_address(ports, host):
    async with aiohttp.ClientSession() as client:
        for port, path in zip(
            (ports[0], ports[0], ports[1]), ("/health/live", "/health/ready", "/metrics"), strict=True
        ):
            async with client.get(f"http://{host}:{port}{path}") as answer:
                assert answer.status == 200
