"""A server's container: started, waited for, asked, killed, told to end."""

import subprocess
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from hack.bench.serving.load import Address
from hack.gpu_smoke.containers import TAIL_LINES, Runtime, Work
from hack.gpu_smoke.jobs import DRAIN_SECONDS, NAME
from hack.gpu_smoke.outcome import StepFailedError

READY_SECONDS = 900.0
END_SECONDS = 60.0 + DRAIN_SECONDS
_PAUSE_SECONDS = 0.1
_ASK_SECONDS = 5.0


class Server:
    """One container that serves; it starts with the object."""

    def __init__(self, runtime: Runtime, work: Work, log: Path, last_words: Callable[[], dict[str, Any]]) -> None:
        assert work.port is not None
        self._runtime = runtime
        self._name = work.name
        self._log = log
        self._last_words = last_words
        self._started = time.monotonic()
        self._process = runtime.start(work, log)
        self.address = Address(work.port, "/v1/embeddings", NAME)

    def wait_until_ready(self) -> float:
        """Return the seconds from the start until it was ready. Raises `StepFailedError`."""
        while not self._is_ready():
            if (code := self._process.poll()) is not None:
                raise StepFailedError(f"{self._error()} (exit code {code})", self.tail())
            if time.monotonic() - self._started > READY_SECONDS:
                raise StepFailedError(f"not ready after {READY_SECONDS:.0f} s", self.tail())
            time.sleep(_PAUSE_SECONDS)
        return time.monotonic() - self._started

    def wait_until_ended(self, within: float = END_SECONDS) -> int:
        """Return the exit code. Raises `StepFailedError` when it runs on."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise StepFailedError(f"still running after {within:.0f} s", self.tail()) from None

    def signal(self, signal: str) -> int:
        """Send a signal and return the exit code that follows."""
        self._runtime.signal(self._name, signal)
        return self.wait_until_ended()

    def remove(self) -> None:
        """See that it is gone."""
        if self._process.poll() is None:
            self._runtime.signal(self._name, "KILL")
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def error(self) -> dict[str, Any]:
        """Return the error of its termination message."""
        error = self._last_words().get("error")
        return error if isinstance(error, dict) else {}

    def tail(self) -> str:
        """Return its last lines."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def _error(self) -> str:
        error = self.error()
        return f"{error['reason']}: {error.get('message')}" if "reason" in error else "it ended"

    def _is_ready(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.address.port, timeout=_ASK_SECONDS)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
