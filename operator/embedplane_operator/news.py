"""Whether a status that refuses a model is news. Memory only: what this process said last about each model.

Another installation over the same namespace writes its own words over ours, which is an event to us; two that insist
would write in turns for ever. So what only refuses is said once, and whoever acts on a model has the last word.
"""

from datetime import UTC, datetime

from embedplane_operator.api.conditions import ConditionType, Reason
from embedplane_operator.api.status import EmbeddingModelStatus
from embedplane_operator.workqueue import Key

REFUSALS = frozenset({Reason.FOREIGN_OWNER, Reason.UNKNOWN_ACCELERATOR, Reason.STORE_NOT_SHARED})
NO_TIME = datetime.min.replace(tzinfo=UTC)


class Refusals:
    """What was said about the models that this installation refuses."""

    def __init__(self) -> None:
        self._said: dict[Key, EmbeddingModelStatus | int] = {}

    def is_news(self, key: Key, before: EmbeddingModelStatus, after: EmbeddingModelStatus) -> bool:
        """False for a refusal that would be said again only because somebody else wrote over it."""
        return not before.conditions or key not in self._said or self._said[key] != _refusal(after)

    def note(self, key: Key, said: EmbeddingModelStatus) -> None:
        """Keeps what was written."""
        if (words := _refusal(said)) is None:
            self.forget(key)
        else:
            self._said[key] = words

    def forget(self, key: Key) -> None:
        """Drops what was said about a model that is gone, or is not refused any more."""
        self._said.pop(key, None)


def _refusal(status: EmbeddingModelStatus) -> EmbeddingModelStatus | int | None:
    """What a refusal says; None for a status that refuses nothing."""
    reason = next((each.reason for each in status.conditions if each.type == ConditionType.READY), None)
    if reason not in REFUSALS:
        return None
    # what becomes of another installation's model is for that one to say: once for each spec is enough
    return status.observed_generation if reason == Reason.FOREIGN_OWNER else _without_times(status)


def _without_times(status: EmbeddingModelStatus) -> EmbeddingModelStatus:
    conditions = tuple(each.model_copy(update={"last_transition_time": NO_TIME}) for each in status.conditions)
    return status.model_copy(update={"conditions": conditions})
