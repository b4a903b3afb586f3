"""Classes of texts and of pairs, as text-embeddings-inference has them."""

import numpy as np
import pytest

from embedplane_server.tokenization import Text
from tests.unit.embedplane_server.serving import logits_of, served_classifier

LABELS = ("no", "yes", "perhaps")
PAIR = ["a premise", "a claim"]


@pytest.fixture
async def classifier():
    async with served_classifier(*LABELS) as client:
        yield client


def expected(text: Text, *, raw: bool = False):
    logits = logits_of([text], len(LABELS))[0]
    scores = logits if raw else np.exp(logits) / np.exp(logits).sum()
    return [{"score": pytest.approx(scores[index], abs=1e-6), "label": LABELS[index]} for index in np.argsort(-scores)]


@pytest.mark.parametrize(
    ("inputs", "texts"),
    [
        ("a text", "a text"),
        (["a text"], "a text"),
        (PAIR, tuple(PAIR)),
        ([["a text"]], ["a text"]),
        ([PAIR, ["a text"], PAIR], [tuple(PAIR), "a text", tuple(PAIR)]),
    ],
)
async def test_one_input_gives_a_list_of_labels_and_several_a_list_of_lists(classifier, inputs, texts):
    answer = (await classifier.post("/predict", json={"inputs": inputs})).json()
    assert answer == ([expected(text) for text in texts] if isinstance(texts, list) else expected(texts))


async def test_raw_scores_are_logits(classifier):
    answer = await classifier.post("/predict", json={"inputs": "x", "raw_scores": True})
    assert answer.json() == expected("x", raw=True)


async def test_classes_that_do_not_exclude_each_other_have_scores_of_their_own():
    async with served_classifier(*LABELS, activation="sigmoid") as client:
        answer = (await client.post("/predict", json={"inputs": "x"})).json()
    scores = {each["label"]: each["score"] for each in answer}
    logits = dict(zip(LABELS, logits_of(["x"], 3)[0], strict=True))
    assert scores == pytest.approx({label: 1 / (1 + np.exp(-logit)) for label, logit in logits.items()}, abs=1e-6)


async def test_a_reranker_predicts_its_one_label():
    async with served_classifier("LABEL_0", activation="sigmoid") as client:
        (only,) = (await client.post("/predict", json={"inputs": PAIR})).json()
    assert only["label"] == "LABEL_0"
    assert 0 < only["score"] < 1


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ("", 400),
        ([], 400),
        (["", ""], 400),
        (["a", "b", "c"], 422),
        ([["a", "b", "c"]], 422),
        ([[]], 422),
        (["a", ["b"]], 422),
        (3, 422),
        ([[1]], 422),
    ],
)
async def test_what_is_no_input_is_refused(classifier, inputs, status):
    answer = await classifier.post("/predict", json={"inputs": inputs})
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "error_type"}
