"""A hub whose branch moves under a served model."""

import pytest

from tests.support.hub import Hub
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.serving import client_of
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster


def test_a_branch_that_moves_is_told_and_followed_when_the_user_says_so(shared: Kubectl, hub: Hub):
    source = {"huggingFace": {"repo": "tests/moving", "revision": "main"}, "driftCheckInterval": "1m"}
    shared.apply(embedding_model("moving", shared.namespace, source=source))
    before = shared.wait_ready("moving")["status"]

    hub.move()

    told = shared.wait_for_condition("moving", "SourceDrifted", "True", reason="UpstreamMoved", within=180)
    after = (shared.get("embeddingmodel", "moving") or {})["status"]
    assert before["source"]["commit"] in told["message"]
    assert after["upstream"]["commit"] in told["message"]
    assert after["source"] == before["source"]

    shared.run("annotate", "embeddingmodel", "moving", "embedplane.io/resolve=now")

    def followed() -> bool:
        status = (shared.get("embeddingmodel", "moving") or {})["status"]
        return bool(status["source"]["commit"] == after["upstream"]["commit"])

    wait_for("the pinned commit follows", followed, within=120, explain=lambda: shared.explain("moving"))
    wait_for("drift is over", lambda: shared.condition("moving", "SourceDrifted") is None, within=60)
    assert shared.wait_ready("moving", within=120)["status"]["vectorSpace"]["id"] == before["vectorSpace"]["id"]
    assert client_of(shared, "moving").embeddings.create(model="moving", input="still here").data
