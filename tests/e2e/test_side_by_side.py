"""A switch of the vector space under load: a candidate, the cut-over, the return, and the end of what retires."""

from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.models import embedding_model
from tests.support.reference import cosines, reference_model
from tests.support.serving import address_of
from tests.support.traffic import QUERY, SPACE_HEADER, Judge, Traffic, constant_requests
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster

SCALING = {
    "minReplicas": 1,
    "maxReplicas": 2,
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 20}},
}


def side_by_side(name: str, kubectl: Kubectl, **spec: Any) -> dict[str, Any]:
    return embedding_model(
        name,
        kubectl.namespace,
        vectorSpacePolicy="SideBySide",
        scaling=SCALING,
        # only the word of the operator closes connections here
        serving={"drainDelaySeconds": 5, "maxRequestSeconds": 30, "maxConnectionSeconds": 3600},
        **spec,
    )


def spaces_of(kubectl: Kubectl, name: str) -> dict[str, str]:
    """The role of each space."""
    model = kubectl.get("embeddingmodel", name) or {}
    return {each["id"]: each["role"] for each in model.get("status", {}).get("vectorSpaces", [])}


def ask_for_space(kubectl: Kubectl, name: str, space: str) -> None:
    kubectl.patch("embeddingmodel", name, {"spec": {"activeVectorSpace": space}})


def wait_for_role(kubectl: Kubectl, name: str, space: str, role: str) -> None:
    wait_for(
        f"{space} is {role}",
        lambda: spaces_of(kubectl, name).get(space) == role,
        explain=lambda: kubectl.explain(name),
    )


def vector_at(url: str, model: str, space: str) -> NDArray[np.float32]:
    """The query's vector, of this very space."""
    body = {"model": model, "input": QUERY}
    answer = httpx.post(f"{url}/v1/embeddings", json=body, headers={SPACE_HEADER: space}, timeout=30)
    assert answer.status_code == httpx.codes.OK, answer.text
    return vector_of(answer)


def vector_of(answer: httpx.Response) -> NDArray[np.float32]:
    return np.array([answer.json()["data"][0]["embedding"]], dtype=np.float32)


def named_truly(vectors: dict[str, NDArray[np.float32]]) -> Judge:
    """Complains of an answer that is none, or whose header names another space than its vector lies in."""

    def judge(answer: httpx.Response) -> str | None:
        if answer.status_code != httpx.codes.OK:
            return f"{answer.status_code} {answer.text[:200]}"
        space = answer.headers[SPACE_HEADER]
        similar = float(cosines(vector_of(answer), vectors[space])[0])
        return None if similar > 0.999 else f"a vector with cosine {similar} to its space {space}"

    return judge


def of_space_or_412(space: str) -> Judge:
    def judge(answer: httpx.Response) -> str | None:
        is_its = answer.status_code == httpx.codes.OK and answer.headers[SPACE_HEADER] == space
        is_refused = answer.status_code == httpx.codes.PRECONDITION_FAILED
        return None if is_its or is_refused else f"{answer.status_code} of {answer.headers.get(SPACE_HEADER)}"

    return judge


def wait_until_all_name(traffic: Traffic, space: str, explain: Any) -> None:
    wait_for(
        f"every client reaches {space}",
        lambda: len(traffic.spaces) > 40 and set(traffic.spaces[-40:]) == {space},
        explain=explain,
    )


def test_a_switch_and_the_return_fail_no_request_and_name_every_vector_truly(
    shared: Kubectl, installation: Installation
):
    shared.apply(side_by_side("switch", shared))
    old = shared.wait_ready("switch")["status"]["vectorSpace"]["id"]

    shared.patch("embeddingmodel", "switch", {"spec": {"embedding": {"pooling": "cls"}}})
    candidate = shared.wait_ready("switch")["status"]["candidate"]["vectorSpace"]
    new, url = candidate["id"], address_of(shared, "switch")
    assert spaces_of(shared, "switch") == {old: "Active", new: "Candidate"}
    assert "the pooling (mean before, cls now)" in (shared.condition("switch", "VectorSpaceStable") or {})["message"]

    vectors = {
        old: vector_at(url, "switch", old),
        new: vector_at(address_of(shared, "switch-candidate"), "switch", new),
    }
    assert cosines(vectors[old], reference_model().encode([QUERY], convert_to_numpy=True))[0] > 0.999
    assert cosines(vectors[old], vectors[new])[0] < 0.99

    def explain() -> str:
        return shared.explain("switch")

    with (
        constant_requests(url, "switch", judge=named_truly(vectors)) as unpinned,
        constant_requests(url, "switch", clients=2, judge=of_space_or_412(old), pin=old) as pinned,
    ):
        unpinned.wait_for_successes(40)
        ask_for_space(shared, "switch", new)
        installation.kill_operator()
        wait_for_role(shared, "switch", new, "Active")
        wait_until_all_name(unpinned, new, explain)
        wait_until_all_name(pinned, new, explain)  # the space that refused them

        ask_for_space(shared, "switch", old)
        installation.kill_operator()
        wait_for_role(shared, "switch", old, "Active")
        wait_until_all_name(unpinned, old, explain)
        unpinned.wait_for_successes(20)

    assert unpinned.failures == []
    assert pinned.failures == []
    assert set(unpinned.spaces) == {old, new}

    # the old space stays, so the edit is undone; the new one retires, and goes when nobody asks it
    undone = {"embedding": {"pooling": None}, "retireAfter": "10s"}
    shared.patch("embeddingmodel", "switch", {"spec": undone})
    wait_for_role(shared, "switch", new, "Retiring")
    wait_for("only the old space is left", lambda: spaces_of(shared, "switch") == {old: "Active"},
             explain=explain)  # fmt: skip
    assert shared.get("service", "switch-candidate") is None
    assert shared.wait_ready("switch")["status"]["vectorSpace"]["id"] == old


def test_of_two_edits_in_quick_succession_the_last_one_is_the_candidate(shared: Kubectl, installation: Installation):
    shared.apply(side_by_side("edits", shared))
    old = shared.wait_ready("edits")["status"]["vectorSpace"]["id"]

    for length in (128, 64):
        shared.patch("embeddingmodel", "edits", {"spec": {"embedding": {"dimensions": {"default": length}}}})
    installation.kill_operator()
    wait_for_role(shared, "edits", f"{old};dimensions=64", "Candidate")

    model = shared.wait_ready("edits")
    assert spaces_of(shared, "edits") == {old: "Active", f"{old};dimensions=64": "Candidate"}
    assert len(shared.names("deployments", "embedplane.io/model=edits")) == 2
    assert model["status"]["vectorSpace"]["id"] == old
    assert vector_at(address_of(shared, "edits-candidate"), "edits", f"{old};dimensions=64").shape == (1, 64)
