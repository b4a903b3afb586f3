"""Ports that nobody listens on: fixed ones may still be held by what a crashed run left."""

import random
import socket

LISTENING = range(20_000, 30_000)
"""Below the ports that the kernel gives to connections: one of those may take a port before it is listened on."""
_given: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free on `host`, and that this process was not given before."""
    while True:
        port = random.choice(LISTENING)
        if port not in _given and _is_free(host, port):
            _given.add(port)
            return port


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
