"""Time in equal spans, so that what is done now and then is done once in each, whoever's memory is lost. Pure."""

from dataclasses import dataclass
from datetime import datetime

from embedplane_operator.render.inputs import digest_of


@dataclass(frozen=True)
class Slot:
    """One of the spans."""

    number: int
    seconds_left: float


def slot_of(whose: str, interval: int, now: datetime) -> Slot:
    """The slot that a moment falls into; everybody's begin at other moments. `interval` is in seconds."""
    since = now.timestamp() + int(digest_of(whose)[:8], 16) % interval
    number = int(since // interval)
    return Slot(number, (number + 1) * interval - since)
