"""From `kubectl apply` to vectors that equal sentence-transformers'."""

import numpy as np
import pytest
from openai import OpenAI

from tests.support.kubectl import Kubectl, reasons_of
from tests.support.models import embedding_model
from tests.support.reference import cosines, reference_model
from tests.support.serving import client_of
from tests.support.texts import texts_up_to

pytestmark = pytest.mark.cluster


def vectors(client: OpenAI, model: str, texts: list[str]) -> np.ndarray:
    answer = client.embeddings.create(model=model, input=texts)
    return np.array([each.embedding for each in answer.data], dtype=np.float32)


def assert_equal_to_reference(client: OpenAI, model: str, window: int) -> None:
    """Singly and in mixed batches, from one token to beyond the window's first half."""
    texts = texts_up_to(int(window * 0.7), 50)
    expected = reference_model(window).encode(texts, convert_to_numpy=True)

    together = vectors(client, model, texts)
    singly = np.concatenate([vectors(client, model, [text]) for text in texts])

    assert cosines(together, expected).min() >= 0.999
    assert cosines(singly, expected).min() >= 0.999


def test_an_applied_model_serves_the_vectors_of_sentence_transformers(shared: Kubectl):
    shared.apply(embedding_model("minilm", shared.namespace))

    model = shared.wait_ready("minilm")

    assert_equal_to_reference(client_of(shared, "minilm"), "minilm", window=256)
    status = model["status"]
    assert len(status["source"]["commit"]) == 40
    assert status["vectorSpace"]["id"].startswith("vs1-")
    assert status["vectorSpace"]["dimensions"] == 384
    assert status["engine"]["conformance"]["minimumCosine"] >= 0.999
    assert status["engine"]["benchmark"]["tokensPerSecond"] > 0
    assert status["url"] == f"http://minilm.{shared.namespace}/v1/embeddings"
    assert status["observedGeneration"] == model["metadata"]["generation"]
    assert reasons_of(model, "Reconciling", "Stalled") == [None, None]


def test_a_longer_window_is_a_vector_space_of_its_own(shared: Kubectl):
    shared.apply(embedding_model("minilm-512", shared.namespace, embedding={"maxSequenceLength": 512}))

    model = shared.wait_ready("minilm-512")

    assert model["status"]["vectorSpace"]["maxSequenceLength"] == 512
    assert_equal_to_reference(client_of(shared, "minilm-512"), "minilm-512", window=512)


def test_a_second_model_of_the_same_source_builds_nothing(shared: Kubectl):
    shared.apply(embedding_model("first", shared.namespace))
    first = shared.wait_ready("first")
    before = shared.names("jobs", "app.kubernetes.io/component in (export,build)")

    shared.apply(embedding_model("second", shared.namespace))
    second = shared.wait_ready("second")

    assert shared.names("jobs", "app.kubernetes.io/component in (export,build)") <= before
    assert second["status"]["engine"]["key"] == first["status"]["engine"]["key"]
    assert second["status"]["engine"]["builtAt"] == first["status"]["engine"]["builtAt"]
    assert second["status"]["vectorSpace"] == first["status"]["vectorSpace"]


def test_another_replica_count_starts_no_job(shared: Kubectl):
    shared.apply(embedding_model("scaled", shared.namespace))
    shared.wait_ready("scaled")
    jobs = {job["metadata"]["uid"] for job in shared.list("jobs")}

    shared.patch("embeddingmodel", "scaled", {"spec": {"scaling": {"minReplicas": 2, "maxReplicas": 2}}})

    shared.wait_for_replicas("scaled", 2)
    assert {job["metadata"]["uid"] for job in shared.list("jobs")} <= jobs
