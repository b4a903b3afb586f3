"""What a person who waits sees: one line for each thing that is being done, with its share now and then."""

import time
from typing import TextIO


class Progress:
    """Writes lines to a stream; percentages at most every `interval` seconds."""

    def __init__(self, stream: TextIO, interval: float = 2.0) -> None:
        self._stream = stream
        self._interval = interval
        self._started = time.monotonic()
        self._told = self._started

    def say(self, message: str) -> None:
        """Tell what is done from now on."""
        self._told = time.monotonic()
        self._stream.write(f"[{self._told - self._started:6.1f} s] {message}\n")
        self._stream.flush()

    def share(self, what: str, done: float, total: float) -> None:
        """Tell how much of it is done, unless that was told a moment ago."""
        if total > 0 and time.monotonic() - self._told >= self._interval:
            self.say(f"{what}: {100 * done / total:.0f} %")
