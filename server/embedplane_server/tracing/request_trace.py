"""What the rest of the server knows of traces: that a request may have one, and what can be told to it.

`open_telemetry.py` is the one implementation and the only module that imports the library.
"""

from collections.abc import Mapping
from typing import Protocol

TRACE = "embedplane.trace"
"""Key of the ASGI scope under which a request has its `Trace`; absent when nobody records it."""
REFUSAL = "embedplane.refusal"

Attributes = Mapping[str, str | int]


class Trace(Protocol):
    """One request while it is served. Telling never fails and never waits."""

    def note(self, attributes: Attributes) -> None:
        """Add facts; a later one of the same name wins."""
        ...

    def stage(self, name: str, begun: int, ended: int) -> None:
        """Tell of a part of the request that is over, in nanoseconds since 1970."""
        ...

    def end(self, failure: str | None) -> None:
        """Say that it was answered; `failure` is why it is the server's fault, if it is."""
        ...


class Tracing(Protocol):
    """Where traces come from and go to."""

    def begin(self, name: str, attributes: Attributes, headers: Mapping[str, str]) -> Trace | None:
        """Return the trace of a request, part of its caller's by W3C's headers; None when it is not sampled."""
        ...

    def close(self) -> None:
        """Send what is left, as far as a few seconds suffice."""
        ...
