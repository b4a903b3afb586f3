"""Ports that nobody listens on: fixed ones may still be held by what a crashed run left."""

import socket


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free on `host` now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port
