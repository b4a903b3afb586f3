"""Why a request got no vectors. `routes/errors.py` maps each to an HTTP status.

SchedulingError
├── NeverFits      more tokens than the queue may ever hold
├── Overloaded     the queue is full now; says when there will be room
├── EngineFailed   the engine failed on the batch that held an input of the request
├── EngineDrifted  the engine's vectors are not those of its model any more
└── ShuttingDown   the server ends
"""


class SchedulingError(Exception):
    """A request that gets no vectors."""


class NeverFits(SchedulingError):  # noqa: N818 -- reads as the fact it states
    """Waiting does not help: the request is larger than the whole queue may be."""

    def __init__(self, tokens: int, max_queued_tokens: int) -> None:
        super().__init__(
            f"This request has {tokens} tokens, but this server queues at most {max_queued_tokens} tokens. "
            "Send it in several smaller requests."
        )


class Overloaded(SchedulingError):  # noqa: N818 -- reads as the fact it states
    """There is no room now. `retry_after_seconds` is when there will be, at the speed measured."""

    def __init__(self, queued_tokens: int, retry_after_seconds: float) -> None:
        super().__init__(
            f"The server is busy: {queued_tokens} tokens are waiting. "
            f"Please try again in {retry_after_seconds:.1f} seconds."
        )
        self.retry_after_seconds = retry_after_seconds


class EngineFailed(SchedulingError):  # noqa: N818 -- reads as the fact it states
    """The engine failed on a batch; the cause is chained and logged, not shown to clients."""

    def __init__(self) -> None:
        super().__init__("The engine failed while computing the embeddings. Please try again.")


class EngineDrifted(SchedulingError):  # noqa: N818 -- reads as the fact it states
    """A self-check failed: no answer is better than a wrong one."""

    def __init__(self) -> None:
        super().__init__(
            "VectorDrift: the vectors of this server failed the check against their reference, so it answers no more "
            "and is replaced. Please try again."
        )


class ShuttingDown(SchedulingError):  # noqa: N818 -- reads as the fact it states
    """The server ends and takes no more work."""

    def __init__(self) -> None:
        super().__init__("The server is shutting down. Please try again.")
