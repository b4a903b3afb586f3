"""The hub mirror as a process in the background: started once, found again by its recorded pid, ended by it."""

import hashlib
import http.client
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.layout import REPOSITORY, Layout
from hack.cluster.nodes import started_at
from hack.cluster.progress import SetupError, say, step

PORT = 8088
PROGRAM = REPOSITORY / "hack" / "demo" / "hub_mirror.py"


@dataclass(frozen=True)
class Mirror:
    """The one mirror of this machine."""

    layout: Layout

    @property
    def _record(self) -> Path:
        return self.layout.cache / "hub-mirror.pid"

    def start(self, host: str) -> str:
        """Start the mirror unless it runs, wait until it answers, and return its endpoint."""
        endpoint = f"http://{host}:{PORT}"
        if self._pid() is not None and self._is_current(endpoint) and _answers(host):
            say(f"  {endpoint} answers")
            return endpoint
        self.stop()
        with step(f"hub mirror at {endpoint}"), (self.layout.cache / "hub-mirror.log").open("w") as log:
            command = [str(REPOSITORY / ".venv" / "bin" / "python"), str(PROGRAM), "--host", host, "--port", str(PORT)]
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            self._record.write_text(f"{process.pid} {started_at(process.pid)} {_version(endpoint)}")
            deadline = time.monotonic() + 30
            while not _answers(host):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SetupError(f"the hub mirror did not start: {Path(log.name).read_text().strip()}")
                time.sleep(0.1)
        return endpoint

    def stop(self) -> None:
        """End the mirror if it is the recorded one."""
        pid = self._pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)  # it keeps nothing; an orderly end would wait for idle connections
            deadline = time.monotonic() + 5
            while started_at(pid) is not None and time.monotonic() < deadline:
                time.sleep(0.05)
            say("  hub mirror stopped")
        self._record.unlink(missing_ok=True)

    def _pid(self) -> int | None:
        try:
            pid, started, _ = self._record.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if started_at(int(pid)) == started else None

    def _is_current(self, endpoint: str) -> bool:
        """Tell whether the recorded mirror serves this endpoint with today's code."""
        return self._record.read_text().split()[2] == _version(endpoint)


def _version(endpoint: str) -> str:
    digest = hashlib.sha256(endpoint.encode())
    for source in (PROGRAM, PROGRAM.with_name("repositories.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _answers(host: str) -> bool:
    connection = http.client.HTTPConnection(host, PORT, timeout=2)
    try:
        connection.request("GET", "/api/models/none/none")
        return connection.getresponse().status in (401, 404)
    except OSError:
        return False
    finally:
        connection.close()
