"""A hub whose branch moves under a served model."""

import pytest

from tests.support.hub import Hub
from tests.support.kubectl import Kubectl, condition_in, reasons_of
from tests.support.models import embedding_model
from tests.support.serving import client_of
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster


def test_a_branch_that_moves_is_told_and_followed_when_the_user_says_so(shared: Kubectl, hub: Hub):
    source = {"huggingFace": {"repo": "tests/moving", "revision": "main"}, "driftCheckInterval": "1m"}
    shared.apply(embedding_model("moving", shared.namespace, source=source))
    before = shared.wait_for_model("moving", "SourceResolved", "True")["status"]

    hub.move()  # before the first look at it, so that nobody waits a minute for the next one

    shared.wait_ready("moving")
    model = shared.wait_for_model("moving", "SourceDrifted", "True", reason="UpstreamMoved")
    after, words = model["status"], (condition_in(model, "SourceDrifted") or {})["message"]
    assert before["source"]["commit"] in words
    assert after["upstream"]["commit"] in words
    assert after["source"] == before["source"]
    assert reasons_of(model, "Ready") == [("True", "Serving")]

    shared.run("annotate", "embeddingmodel", "moving", "embedplane.io/resolve=now")

    def followed() -> bool:
        status = (shared.get("embeddingmodel", "moving") or {})["status"]
        return bool(status["source"]["commit"] == after["upstream"]["commit"])

    wait_for("the pinned commit follows", followed, explain=lambda: shared.explain("moving"))
    wait_for("drift is over", lambda: shared.condition("moving", "SourceDrifted") is None)
    assert shared.wait_ready("moving")["status"]["vectorSpace"]["id"] == before["vectorSpace"]["id"]
    assert client_of(shared, "moving").embeddings.create(model="moving", input="still here").data
