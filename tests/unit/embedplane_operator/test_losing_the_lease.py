"""A process that lost its Lease: what acts ends first, whatever the watches still have to do."""

import asyncio

import pytest

from embedplane_operator import startup
from embedplane_operator.autoscale.report import ScalingReports
from embedplane_operator.errors import LeaseLostError
from embedplane_operator.health import Pulse
from embedplane_operator.index import ModelIndex
from embedplane_operator.lease import Leadership, LeaseTerms
from embedplane_operator.metrics import Metrics
from embedplane_operator.startup import Parts
from embedplane_operator.workqueue import WorkQueue
from tests.support.fake_cluster import FakeCluster
from tests.support.rendering import settings_of


async def test_nothing_acts_any_more_while_the_watches_come_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    acting_at_the_end: list[str] = []

    async def watch(*_: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            names = [str(task.get_coro()) for task in asyncio.all_tasks()]
            acting_at_the_end.extend(name for name in names if "WorkQueue.work" in name or "AutoscaleLoop.run" in name)

    monkeypatch.setattr(startup, "_watch", watch)
    cluster = FakeCluster()
    parts = Parts(settings_of(), cluster, WorkQueue(), ModelIndex(), ScalingReports(), Metrics(), Pulse())
    leadership = Leadership(cluster, LeaseTerms("operators", "embedplane", "first", deadline=0.0))

    with pytest.raises(LeaseLostError):
        await asyncio.wait_for(startup._work(parts, leadership, asyncio.Event()), 5)

    assert acting_at_the_end == []
