"""Heads of requests that came before: the same bytes mean the same, so they need not be parsed again."""

import re
from dataclasses import dataclass

from embedplane_server.routes.express import Head

END = b"\r\n\r\n"
# Of what the parser took for a request the head has just one: a second one, or one of another form, is refused.
LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,5})\r\n", re.IGNORECASE)
MOST_HEADS = 256
MOST_BYTES = 2048
"""Longer heads are parsed each time."""


@dataclass(frozen=True, slots=True)
class Framed:
    """A request, if its head is known: the head without the number that is the body's length, and the body."""

    head: bytes
    body: bytes


def framed(data: bytes) -> Framed | None:
    """Part bytes whose second part is as long as a header of the first one says; None: they have no such parts."""
    end = data.find(END) + len(END)
    if not len(END) <= end <= MOST_BYTES or (length := LENGTH.search(data, 0, end)) is None:
        return None
    if int(length[1]) != len(data) - end:
        return None
    return Framed(data[: length.start(1)] + data[length.end(1) : end], data[end:])


class KnownHeads:
    """Heads by their bytes, the number of bytes in the body left out; all connections share them."""

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}

    def __contains__(self, request: Framed) -> bool:
        return request.head in self._heads

    def find(self, request: Framed) -> Head | None:
        """Return what is known of a request."""
        return self._heads.get(request.head)

    def learn(self, request: Framed, head: Head) -> None:
        """Remember a head, in place of the oldest one where there are many."""
        if len(self._heads) >= MOST_HEADS:
            del self._heads[next(iter(self._heads))]
        self._heads[request.head] = head
