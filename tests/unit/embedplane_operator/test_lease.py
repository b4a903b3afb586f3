"""Leadership: one leader at a time, a lost one ends, a stopped one makes room at once."""

import asyncio
import time

import pytest

from embedplane_operator.errors import ClusterError, ClusterUnavailableError, LeaseLostError, Refusal
from embedplane_operator.kinds import Manifest, Resource
from embedplane_operator.lease import Leadership, LeaseTerms
from tests.support.fake_cluster import FakeCluster


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def candidate(cluster: FakeCluster, name: str, clock: Clock) -> Leadership:
    return Leadership(cluster, LeaseTerms("operators", "embedplane", name, period=0.001), clock)


def holder(cluster: FakeCluster) -> str:
    lease = cluster.find("Lease", "embedplane", "operators")
    assert lease is not None
    return str(lease["spec"]["holderIdentity"])


def no_answer(_verb: str, _kind: str, _name: str) -> ClusterError:
    return ClusterUnavailableError("GET lease", Refusal(0, "NoAnswer", "connection refused"))


async def test_the_first_one_creates_the_lease_and_leads() -> None:
    cluster = FakeCluster()

    await candidate(cluster, "first", Clock()).acquire()

    assert holder(cluster) == "first"


async def test_another_waits_while_the_holder_renews_and_takes_over_when_it_stopped() -> None:
    cluster, clock = FakeCluster(), Clock()
    first, second = candidate(cluster, "first", clock), candidate(cluster, "second", clock)
    await first.acquire()

    assert not await second._attempt(10)
    clock.now += 14
    assert await first._attempt(10)
    clock.now += 14
    assert not await second._attempt(10)  # it was renewed meanwhile: the wait starts anew
    clock.now += 15
    assert await second._attempt(10)

    assert holder(cluster) == "second"
    assert not await first._attempt(10)


async def test_a_renewal_that_fails_too_long_ends_the_leader() -> None:
    cluster, clock = FakeCluster(), Clock()
    leader = candidate(cluster, "first", clock)
    await leader.acquire()
    cluster.refuse = no_answer
    clock.now += 9
    holding = asyncio.create_task(leader.hold())
    await asyncio.sleep(0.01)
    assert not holding.done()

    clock.now += 1

    with pytest.raises(LeaseLostError, match="not renewed"):
        await asyncio.wait_for(holding, 5)


class SilentCluster(FakeCluster):
    """An API server that takes every question and answers none."""

    async def get(self, resource: Resource, namespace: str, name: str, within: float | None = None) -> Manifest | None:
        await asyncio.Event().wait()
        return None


async def test_a_renewal_without_an_answer_does_not_outlast_the_deadline() -> None:
    terms = LeaseTerms("operators", "embedplane", "first", deadline=0.05, period=0.001)
    leader = Leadership(SilentCluster(), terms)
    leader._renewed = time.monotonic()

    with pytest.raises(LeaseLostError, match="not renewed"):
        await asyncio.wait_for(leader.hold(), 5)


async def test_a_candidate_asks_again_when_no_answer_comes() -> None:
    cluster = SilentCluster()
    terms = LeaseTerms("operators", "embedplane", "first", deadline=0.01, period=0.001)

    assert not await asyncio.wait_for(Leadership(cluster, terms)._attempt(terms.deadline), 5)


async def test_a_slow_renewal_counts_from_before_the_request() -> None:
    cluster, clock = FakeCluster(), Clock()
    leader = candidate(cluster, "first", clock)

    def slow(_verb: str, _kind: str, _name: str) -> None:
        clock.now += 3

    cluster.refuse = slow
    await leader.acquire()

    assert leader._renewed == 1000.0


async def test_a_released_lease_is_free_at_once() -> None:
    cluster, clock = FakeCluster(), Clock()
    first, second = candidate(cluster, "first", clock), candidate(cluster, "second", clock)
    await first.acquire()

    await first.release()

    assert await second._attempt(10)
    assert holder(cluster) == "second"


async def test_a_lease_of_somebody_else_is_not_released() -> None:
    cluster, clock = FakeCluster(), Clock()
    await candidate(cluster, "first", clock).acquire()

    await candidate(cluster, "second", clock).release()

    assert holder(cluster) == "first"
