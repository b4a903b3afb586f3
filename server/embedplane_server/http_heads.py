"""Heads of requests that came before: the same bytes mean the same, so they need not be parsed again."""

from starlette.types import Scope

from embedplane_server.routes.express import Express, Head

END = b"\r\n\r\n"
MOST_HEADS = 1024
MOST_BYTES = 4096
"""Longer heads are parsed each time."""


class KnownHeads:
    """Heads by their bytes, of requests that may go the short way; all connections share them."""

    def __init__(self, express: Express) -> None:
        self.express = express
        self._heads: dict[bytes, Head] = {}

    def find(self, data: bytes) -> tuple[Head, bytes] | None:
        """Return what is known of a request, and its body; None: its head is new, or these bytes are not all of it."""
        end = data.find(END) + len(END)
        head = self._heads.get(data[:end])
        return None if head is None or len(data) - end != head.length else (head, data[end:])

    def learn(self, data: bytes, scope: Scope) -> None:
        """Remember the head of a request that these bytes are, no more and no less, as it was parsed."""
        end = data.find(END) + len(END)
        if end > MOST_BYTES or (head := self.express.head_of(scope)) is None or len(data) - end != head.length:
            return
        if len(self._heads) >= MOST_HEADS:
            self._heads.clear()  # clients with a head of its own for each request: nothing is lost
        self._heads[data[:end]] = head
