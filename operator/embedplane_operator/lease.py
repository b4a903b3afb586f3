"""Leadership through a Lease: at most one process acts, and a lost one ends.

The client's own elector does not work (it cannot create the Lease and dies of the first refused connection). Clocks of
two machines are never compared: a foreign Lease counts as expired when it stayed unchanged for its duration, measured
by our own monotonic clock. `startup.py` runs it.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from embedplane_operator.cluster import Cluster
from embedplane_operator.errors import ConflictError, EmbedplaneError, LeaseLostError
from embedplane_operator.kinds import LEASE, Manifest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeaseTerms:
    """Which Lease, who asks for it, and how long it lasts (seconds)."""

    namespace: str
    name: str
    identity: str
    duration: float = 15.0
    """Others may take over this long after our last renewal."""
    deadline: float = 10.0
    """We end ourselves this long after our last renewal: well before others may take over."""
    period: float = 2.0


class Leadership:
    """Holds the Lease: `acquire` waits for it, `hold` renews it and raises LeaseLostError, `release` gives it away."""

    def __init__(self, cluster: Cluster, terms: LeaseTerms, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._terms = terms
        self._clock = clock
        self._seen: tuple[str, str] | None = None
        self._seen_since = 0.0
        self._renewed = 0.0

    async def acquire(self) -> None:
        """Returns when this process leads."""
        waiting = False
        while not await self._attempt(self._terms.deadline):
            if not waiting:
                logger.info("waiting for Lease %s/%s", self._terms.namespace, self._terms.name)
                waiting = True
            await asyncio.sleep(self._terms.period)
        logger.info("leading as %s", self._terms.identity)

    async def hold(self) -> None:
        """Renews for ever; raises LeaseLostError when the last renewal is too long ago to be sure."""
        while (left := self._seconds_left()) > 0:
            await asyncio.sleep(min(self._terms.period, left))
            await self._attempt(self._seconds_left())
        message = f"Lease {self._terms.namespace}/{self._terms.name} was not renewed for {self._terms.deadline:.0f} s"
        raise LeaseLostError(message)

    async def release(self) -> None:
        """Lets the next process lead at once."""
        lease = await self._cluster.get(LEASE, self._terms.namespace, self._terms.name, self._timeout)
        if lease is None or (lease.get("spec") or {}).get("holderIdentity") != self._terms.identity:
            return
        version = {"resourceVersion": lease["metadata"]["resourceVersion"]}
        await self._write({"metadata": version, "spec": {"holderIdentity": "", "leaseDurationSeconds": 1}})

    @property
    def _timeout(self) -> float:
        return self._terms.period * 2

    def _seconds_left(self) -> float:
        return self._renewed + self._terms.deadline - self._clock()

    async def _attempt(self, within: float) -> bool:
        """Takes or renews the Lease once, in so many seconds; False when somebody else has it or nobody answers."""
        began = self._clock()
        try:
            async with asyncio.timeout(within):
                if not await self._take(began):
                    return False
        except ConflictError:
            return False  # somebody was faster
        except (EmbedplaneError, TimeoutError) as error:
            logger.warning("Lease not renewed: %s", error or f"no answer within {within:.1f} s")
            return False
        self._renewed = began  # from before the request: a slow answer must not lengthen our term
        return True

    async def _take(self, began: float) -> bool:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        mine: Manifest = {
            "holderIdentity": self._terms.identity,
            "leaseDurationSeconds": max(1, int(self._terms.duration)),
            "renewTime": now,
        }
        lease = await self._cluster.get(LEASE, self._terms.namespace, self._terms.name, self._timeout)
        if lease is None:
            metadata = {"name": self._terms.name, "namespace": self._terms.namespace}
            manifest = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata}
            await self._cluster.create({**manifest, "spec": {**mine, "acquireTime": now}}, self._timeout)
            return True
        held: Manifest = lease.get("spec") or {}
        if held.get("holderIdentity") != self._terms.identity:
            if not self._has_expired(held, began):
                return False
            mine |= {"acquireTime": now, "leaseTransitions": held.get("leaseTransitions", 0) + 1}
        await self._write({"metadata": {"resourceVersion": lease["metadata"]["resourceVersion"]}, "spec": mine})
        return True

    def _has_expired(self, held: Manifest, now: float) -> bool:
        holder, renewed = held.get("holderIdentity") or "", str(held.get("renewTime"))
        if (holder, renewed) != self._seen:
            self._seen, self._seen_since = (holder, renewed), now
        return not holder or now - self._seen_since >= (held.get("leaseDurationSeconds") or self._terms.duration)

    async def _write(self, patch: Manifest) -> None:
        await self._cluster.merge(LEASE, self._terms.namespace, self._terms.name, patch, self._timeout)
