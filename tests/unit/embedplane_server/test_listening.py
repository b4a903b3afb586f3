"""Where a server listens: on IPv4 and IPv6 alike, on IPv4 alone where a machine has no IPv6, or where it is told to."""

import socket

import pytest

from embedplane_server.http_server import listen
from embedplane_server.settings import EVERY_ADDRESS

needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


def answers(listener: socket.socket, host: str) -> bool:
    """Tell whether a connection to this address of the machine reaches the listener."""
    try:
        socket.create_connection((host, listener.getsockname()[1]), timeout=5).close()
    except OSError:
        return False
    return True


@needs_ipv6
def test_every_address_means_both_families():
    with listen(EVERY_ADDRESS, 0) as listener:
        assert answers(listener, "127.0.0.1")
        assert answers(listener, "::1")


def test_a_machine_without_ipv6_is_served_on_ipv4(monkeypatch):
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with listen(EVERY_ADDRESS, 0) as listener:
        assert listener.family == socket.AF_INET
        assert answers(listener, "127.0.0.1")


@needs_ipv6
@pytest.mark.parametrize(("host", "other"), [("0.0.0.0", "::1"), ("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_an_address_that_is_named_is_the_only_one(host, other):
    with listen(host, 0) as listener:
        assert not answers(listener, other)
