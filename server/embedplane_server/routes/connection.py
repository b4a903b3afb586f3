"""What a request knows of the connection that it came over: how old it is, and when its client leaves.

The HTTP server puts it into the state of the ASGI scope; ASGI's own way would be a task of its own for each request,
which waits for a message that hardly ever comes.
"""

import time
from collections.abc import Callable

from starlette.types import Scope

CONNECTION = "connection"
Header = tuple[bytes, bytes]
CLOSE: Header = (b"connection", b"close")
"""The header of an answer after which the connection ends."""


class Connection:
    """Serves one request at a time."""

    __slots__ = ("_leave", "has_left", "opened")

    def __init__(self) -> None:
        self.opened = time.monotonic()
        self.has_left = False
        self._leave: Callable[[], None] | None = None

    @property
    def seconds(self) -> float:
        """How long it has been open."""
        return time.monotonic() - self.opened

    def when_left(self, leave: Callable[[], None] | None) -> None:
        """Have this called once the client has left; None: nothing more."""
        self._leave = leave
        if leave is not None and self.has_left:
            leave()

    def left(self) -> None:
        """Note that the client has closed it, or is gone."""
        self.has_left = True
        if self._leave is not None:
            self._leave()


def connection_of(scope: Scope) -> Connection:
    """Return the connection of a request; servers that tell nothing have one that is new and stays."""
    connection: Connection | None = scope.get("state", {}).get(CONNECTION)
    return connection or Connection()
