"""The operator's own HTTP endpoints: /health/live, /health/ready and /metrics.

kopf's endpoint answers 200 whatever its probes say; this one says 503 when work has stopped. Waiting for the Lease
counts as alive and ready: a standby does its job by waiting.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from embedplane_operator.metrics import Metrics


@dataclass
class Pulse:
    """When each part of the process last showed that it works, and how long it may be silent."""

    clock: Callable[[], float] = time.monotonic
    _limits: dict[str, float | None] = field(default_factory=dict)
    _beats: dict[str, float] = field(default_factory=dict)

    def expect(self, part: str, within: float | None) -> None:
        """Starts watching a part; `within` None: its age is shown but never counts as dead."""
        self._limits[part] = within
        self.beat(part)

    def beat(self, part: str) -> None:
        """Notes that a part works."""
        self._beats[part] = self.clock()

    def ages(self) -> dict[str, float]:
        """Seconds since each part's last beat."""
        now = self.clock()
        return {part: round(now - beat, 1) for part, beat in sorted(self._beats.items())}

    def silent(self) -> list[str]:
        """The parts that were silent for too long."""
        ages = self.ages()
        return [part for part, limit in sorted(self._limits.items()) if limit is not None and ages[part] > limit]


@dataclass(frozen=True)
class Addresses:
    """Where to listen; port 0 picks a free one, host None means every address of both families."""

    host: str | None
    health_port: int
    metrics_port: int


class HealthServer:
    """Serves health and metrics until `stop`."""

    def __init__(self, pulse: Pulse, metrics: Metrics, refresh: Callable[[], None]) -> None:
        self._pulse = pulse
        self._metrics = metrics
        self._refresh = refresh
        self._runners: list[web.AppRunner] = []
        self.started = False
        """True once settings, connection and listeners are up; set by `startup.py`."""

    async def start(self, addresses: Addresses) -> None:
        """Opens both ports."""
        health = web.Application()
        health.add_routes([web.get("/health/live", self._live), web.get("/health/ready", self._ready)])
        metrics = web.Application()
        metrics.add_routes([web.get("/metrics", self._render_metrics)])
        await self._listen(health, addresses.host, addresses.health_port)
        await self._listen(metrics, addresses.host, addresses.metrics_port)

    async def stop(self) -> None:
        """Closes both ports."""
        for runner in self._runners:
            await runner.cleanup()

    async def _listen(self, application: web.Application, host: str | None, port: int) -> None:
        runner = web.AppRunner(application, access_log=None)
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()

    async def _live(self, _request: web.Request) -> web.Response:
        silent = self._pulse.silent()
        body = {"silent": silent, "secondsSince": self._pulse.ages()}
        return web.json_response(body, status=503 if silent else 200)

    async def _ready(self, _request: web.Request) -> web.Response:
        return web.json_response({"started": self.started}, status=200 if self.started else 503)

    async def _render_metrics(self, _request: web.Request) -> web.Response:
        self._refresh()
        return web.Response(body=self._metrics.render(), content_type="text/plain", charset="utf-8")
