"""Texts and how they are asked for; without any library, for whoever wants to put a load on a server."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """Texts of one kind, and how they are asked for."""

    name: str
    texts: list[str]
    lengths: list[int]
    texts_a_request: int
    requests_in_flight: int

    @property
    def tokens(self) -> int:
        return sum(self.lengths)

    def requests(self) -> Iterator[tuple[list[str], int]]:
        """Return the texts of each request and their tokens."""
        step = self.texts_a_request
        for start in range(0, len(self.texts) - step + 1, step):
            yield self.texts[start : start + step], sum(self.lengths[start : start + step])
