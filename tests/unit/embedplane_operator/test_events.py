"""Events: told once, counted when repeated, never a reason to fail."""

import pytest

from embedplane_operator.errors import ClusterError, ForbiddenError, Refusal
from embedplane_operator.events import Recorder
from embedplane_operator.status import Note
from tests.support.fake_cluster import FakeCluster

MODEL = {"metadata": {"name": "minilm", "namespace": "search", "uid": "u"}}
NOTE = Note("HubUnavailable", "the hub does not answer", "Warning")


async def test_the_same_thing_told_again_raises_the_count() -> None:
    cluster = FakeCluster()
    recorder = Recorder(cluster, "operator-0")

    for _ in range(3):
        await recorder.record(MODEL, NOTE)

    (event,) = cluster.all("Event")
    assert event["series"]["count"] == 3
    assert (event["type"], event["reason"], event["note"]) == ("Warning", "HubUnavailable", "the hub does not answer")
    assert event["regarding"]["uid"] == "u"


async def test_another_message_is_another_event() -> None:
    cluster = FakeCluster()
    recorder = Recorder(cluster, "operator-0")

    await recorder.record(MODEL, NOTE)
    await recorder.record(MODEL, Note("HubUnavailable", "x" * 5000, "Warning"))

    assert len(cluster.all("Event")) == 2
    assert max(len(event["note"]) for event in cluster.all("Event")) == 1024


async def test_an_event_that_cannot_be_written_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    cluster = FakeCluster()

    def refuse(_verb: str, _kind: str, _name: str) -> ClusterError:
        return ForbiddenError("POST events", Refusal(403, "Forbidden", "no rights"))

    cluster.refuse = refuse
    await Recorder(cluster, "operator-0").record(MODEL, NOTE)

    assert "no rights" in caplog.text
