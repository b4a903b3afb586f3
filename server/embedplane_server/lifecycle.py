"""Whether this server is alive and whether it wants traffic: two questions with two probes.

Alive means that the engine works; a full queue is no reason to be unready, let alone to be restarted.
"""

from collections.abc import Callable


class Lifecycle:
    """Starts ready: a server listens only after its engine was checked and warmed."""

    def __init__(self, engine_problem: Callable[[], str | None]) -> None:
        self._engine_problem = engine_problem
        self._draining = False
        self.drift: str | None = None
        """Why the engine's vectors are not to be trusted any more, None while they are."""

    @property
    def is_draining(self) -> bool:
        return self._draining

    def begin_draining(self) -> None:
        """Become unready for good; requests are still served."""
        self._draining = True

    def not_alive_because(self) -> str | None:
        """Return why the process should be restarted, or None."""
        return f"VectorDrift: {self.drift}" if self.drift else self._engine_problem()

    def not_ready_because(self) -> str | None:
        """Return why no new connections should be sent here, or None."""
        if self.drift is None and self._draining:
            return "the server is shutting down"
        return self.not_alive_because()
