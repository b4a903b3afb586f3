"""Every error of the operator, each with its verdict: after how many seconds trying again makes sense.

EmbedplaneError
├── InvalidObjectError           the EmbeddingModel cannot be read: nothing to do until it changes
├── LeaseLostError               another process may lead by now: end
└── ClusterError                 what the API server said, or that it said nothing
    ├── ClusterUnavailableError  no answer, 5xx, 429, expired token: soon again
    ├── ConflictError            a stale version or another object by now: at once again, from the start
    │   └── AlreadyExistsError
    ├── NotFoundError
    ├── ForbiddenError           rights or quota are missing: slowly again
    └── RejectedError            400 or 422: the same request will fail again
Client errors are translated in `cluster.py`; reasons of conditions are in `api/conditions.py`.
"""

from dataclasses import dataclass


class EmbedplaneError(Exception):
    """Anything the operator raises on purpose."""

    retry_after: float | None = None
    """Seconds until another try makes sense; None leaves it to the work queue's back-off."""


class InvalidObjectError(EmbedplaneError):
    """An EmbeddingModel that got past the schema but cannot be read."""

    retry_after = 600.0


class LeaseLostError(EmbedplaneError):
    """The Lease could not be renewed in time."""


@dataclass(frozen=True)
class Refusal:
    """The API server's own words about a request."""

    status: int
    reason: str
    message: str
    fields: tuple[str, ...] = ()
    retry_after: float | None = None


class ClusterError(EmbedplaneError):
    """A call to the API server failed."""

    def __init__(self, call: str, refusal: Refusal) -> None:
        super().__init__(f"{call}: {refusal.message}")
        self.call = call
        self.refusal = refusal
        if refusal.retry_after is not None:
            self.retry_after = refusal.retry_after


class ClusterUnavailableError(ClusterError):
    """The API server did not answer, or not usefully."""


class ConflictError(ClusterError):
    """The object changed meanwhile, or is another one by now."""

    retry_after = 0.5


class AlreadyExistsError(ConflictError):
    """An object of that name exists."""


class NotFoundError(ClusterError):
    """The object, or the namespace, does not exist."""


class ForbiddenError(ClusterError):
    """Rights are missing, a quota is used up, or the namespace is being deleted."""

    retry_after = 60.0


class RejectedError(ClusterError):
    """The API server will never accept this request."""

    retry_after = 300.0
