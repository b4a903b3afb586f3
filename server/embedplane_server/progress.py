"""What a person who waits sees: one line for each thing that is being done, with its share now and then."""

import time
from typing import TextIO


class Progress:
    """Writes lines to a stream; percentages at most every `interval` seconds."""

    def __init__(self, stream: TextIO, interval: float = 2.0) -> None:
        self._stream = stream
        self._interval = interval
        self._told = time.monotonic()

    def say(self, message: str) -> None:
        """Tell what is done from now on."""
        self._told = time.monotonic()
        # The time of day, not since the start: steps of one command may be processes of their own.
        self._stream.write(f"{time.strftime('%H:%M:%S')} {message}\n")
        self._stream.flush()

    def share(self, what: str, done: float, total: float) -> None:
        """Tell how much of it is done, unless that was told a moment ago."""
        if total > 0 and time.monotonic() - self._told >= self._interval:
            self.say(f"{what}: {100 * done / total:.0f} %")
