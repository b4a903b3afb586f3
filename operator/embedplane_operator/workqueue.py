"""Keys that wait for a reconcile: deduplicated, one run of a key at a time, back-off per key.

The queue knows nothing of Kubernetes; `handlers.py` adds keys, `reconcile.py` is what the workers call. All methods
must be called from the event loop's thread.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from embedplane_operator.errors import EmbedplaneError

logger = logging.getLogger(__name__)


class Key(NamedTuple):
    """Names one EmbeddingModel."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


Reconcile = Callable[[Key], Awaitable[float | None]]
"""Handles one key; returns the seconds until the key should come round again, or None when it need not."""


class WorkQueue:
    """A set of waiting keys with timers for the later ones.

    An event that comes while its key is processed makes exactly one more run afterwards. A failure is retried with
    exponential, jittered, capped back-off; of several future checks the earliest wins; a fresh event overrides all.
    """

    def __init__(self, base_delay: float = 0.2, max_delay: float = 300.0) -> None:
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._dirty: set[Key] = set()
        self._busy: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._base_delay = base_delay
        self._max_delay = max_delay

    @property
    def depth(self) -> int:
        """How many keys wait for a worker now."""
        return len(self._dirty)

    def longest_run(self) -> float:
        """Seconds since the oldest reconcile that still runs began; 0 when none runs."""
        now = asyncio.get_running_loop().time()
        return max((now - since for since in self._busy.values()), default=0.0)

    def add(self, key: Key) -> None:
        """Asks for a run of `key` as soon as a worker is free."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._busy:
            self._ready.put_nowait(key)

    def add_after(self, key: Key, delay: float) -> None:
        """Asks for a run of `key` in `delay` seconds, unless one is due earlier."""
        loop = asyncio.get_running_loop()
        known = self._timers.get(key)
        if key in self._dirty or (known and known.when() <= loop.time() + delay):
            return
        if known:
            known.cancel()
        self._timers[key] = loop.call_later(delay, self.add, key)

    async def work(self, reconcile: Reconcile) -> None:
        """Handles keys for ever; start several of these as tasks and cancel them to stop."""
        while True:
            key = await self._ready.get()
            self._dirty.discard(key)  # before the reconcile reads: what changes from here on needs another run
            self._busy[key] = asyncio.get_running_loop().time()
            try:
                again = await self._run(key, reconcile)
            finally:
                del self._busy[key]
            if key in self._dirty:
                self._ready.put_nowait(key)
            elif again is not None:
                self.add_after(key, again)

    async def _run(self, key: Key, reconcile: Reconcile) -> float | None:
        try:
            again = await reconcile(key)
        except EmbedplaneError as error:
            logger.warning("%s: %s", key, error)
            return self._backoff(key, error.retry_after)
        except Exception:
            logger.exception("%s: reconcile failed unexpectedly; it is tried again", key)
            return self._backoff(key, None)
        self._failures.pop(key, None)
        return again

    def _backoff(self, key: Key, verdict: float | None) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(verdict or 0.0, self._base_delay * 2.0 ** min(failures - 1, 30))
        return min(self._max_delay, delay) * random.uniform(0.5, 1.0)  # noqa: S311 -- jitter, not a secret
