"""The page of rerankers and classifiers in a real browser: texts are ranked, labels are scored, refusals are read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from embedplane_server.activation import activate
from tests.support.classifiers import reference_cross_encoder, save_bert
from tests.support.fake_engine import MANIFESTS, classifying_manifest
from tests.support.fake_server import running_server
from tests.support.minilm import model_up
from tests.support.page import LEAST_CONTRAST, find, results, text, write
from tests.support.waiting import wait_for
from tests.unit.embedplane_server.serving import logits_of

pytestmark = pytest.mark.model

KINDS = ["reranker", "classifier"]
FIRST_FIELD = {"reranker": "query", "classifier": "text"}


@dataclass(frozen=True)
class Reranker:
    """A model with random weights, and a server of it."""

    folder: Path
    url: str


@pytest.fixture(scope="module")
def reranker(tmp_path_factory) -> Iterator[Reranker]:
    folder = tmp_path_factory.mktemp("reranker")
    model = save_bert(folder / "model")
    with model_up(model, folder, "/rerank") as up:
        yield Reranker(model, up.url)


def test_texts_are_ranked_as_sentence_transformers_would(browser, reranker):
    browser.get(reranker.url)
    assert text(browser, "#try-title") == "Rank texts"
    query = find(browser, "#query").get_property("value")
    texts = find(browser, "#texts").get_property("value").splitlines()
    find(browser, "#ask button").click()
    found = results(browser)

    model = reference_cross_encoder(reranker.folder)
    expected = {texts[each["corpus_id"]]: each["score"] for each in model.rank(query, texts)}
    assert [text for text, _, _ in found] == list(expected)
    assert [score for _, score, _ in found] == pytest.approx(list(expected.values()), abs=0.02)
    assert [bar for _, _, bar in found] == pytest.approx([100 * score for _, score, _ in found], abs=0.1)
    tokens = sum(map(len, model.tokenizer([query] * len(texts), texts)["input_ids"]))
    assert text(browser, ".taken").startswith(f"4 texts: {tokens} tokens, ")
    assert text(browser, ".taken").endswith(" ms")
    assert browser.complaints() == []


def test_logits_are_ranked_too_and_have_no_scale_of_their_own(browser):
    texts = ["a", "b c", "d e f"]
    expected = sorted(logits_of([("x y", each) for each in texts])[:, 0].tolist(), reverse=True)
    with running_server(classifying_manifest("LABEL_0", activation="identity")) as server:
        browser.get(server.url)
        write(browser, "#query", "x y")
        write(browser, "#texts", "\n".join(texts))
        find(browser, "#ask button").click()
        found = results(browser)
    assert [score for _, score, _ in found] == pytest.approx(expected, abs=0.001)
    assert (found[0][2], found[-1][2]) == (100, 0)


def test_a_score_that_is_tiny_is_not_shown_as_nothing(browser):
    with running_server(MANIFESTS["reranker"]) as server:
        server.engine.answer = np.float32([[-12]])
        browser.get(server.url)
        write(browser, "#texts", "a text that does not fit")
        find(browser, "#ask button").click()
        [(_, score, _)] = results(browser)
    assert score == pytest.approx(1 / (1 + np.exp(12)), rel=0.01)


def test_labels_are_scored_for_a_text_and_for_a_pair(browser):
    with running_server(MANIFESTS["classifier"]) as server:
        browser.get(server.url)
        for first, second, taken in [("a b", "", "1 text: 4 tokens, "), ("a b", "c", "1 pair: 6 tokens, ")]:
            write(browser, "#text", first)
            write(browser, "#second", second)
            find(browser, "#ask button").click()
            wait_for("its labels", lambda taken=taken: text(browser, ".taken").startswith(taken))
            [scores] = activate("softmax", logits_of([(first, second) if second else first], labels=2))
            expected = sorted(zip(("joy", "anger"), scores.tolist(), strict=True), key=lambda pair: -pair[1])
            found = results(browser)
            assert [label for label, _, _ in found] == [label for label, _ in expected]
            assert [score for _, score, _ in found] == pytest.approx([score for _, score in expected], abs=0.001)
            assert [bar for _, _, bar in found] == pytest.approx([100 * score for _, score in expected], abs=0.1)
        assert browser.complaints() == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_server_refuses_is_said_in_its_words(browser, kind):
    with running_server(MANIFESTS[kind]) as server:
        browser.get(server.url)
        write(browser, "textarea", "word " * 65)
        find(browser, "#ask button").click()
        fault = wait_for("a fault", lambda: browser.find_elements(By.CSS_SELECTOR, "#answer .fault"))[0]
        assert "maximum context length is 64 tokens" in fault.text
        assert fault.aria_role == "alert"
        assert find(browser, "#ask button").is_enabled()


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_opens_the_box_too(browser, kind, tmp_path):
    (tmp_path / "keys").write_text("secret\n")
    with running_server(MANIFESTS[kind], api_keys_files=[tmp_path / "keys"]) as server:
        browser.get(server.url)
        write(browser, "#key", "secret")
        find(browser, "#unlock button").click()
        wait_for("the model", lambda: text(browser, "h1") == "minilm")
        assert browser.switch_to.active_element.get_attribute("id") == FIRST_FIELD[kind]
        find(browser, "#ask textarea").send_keys(Keys.CONTROL, Keys.ENTER)
        assert len(results(browser)) == (4 if kind == "reranker" else 2)


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_can_be_read_by_day_by_night_and_on_a_phone_and_everything_has_a_name(browser, kind, color_scheme):
    browser.prefer(color_scheme)
    browser.be_wide(320)
    with running_server(MANIFESTS[kind]) as server:
        browser.get(server.url)
        find(browser, "#ask button").click()
        results(browser)
        contrasts = browser.contrasts()
        controls = browser.find_elements(By.CSS_SELECTOR, "button, input, textarea, a, pre")
        nameless = [each.tag_name for each in controls if not each.accessible_name]
        fits = browser.execute_script(
            "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
    assert len(contrasts) > 50
    assert [each for each in contrasts if each[1] < LEAST_CONTRAST] == []
    assert len(controls) >= 12
    assert nameless == []
    assert fits


@pytest.mark.parametrize("kind", KINDS)
def test_without_scripts_the_facts_and_routes_stand_there_and_nothing_that_would_not_work(browser, kind):
    browser.run_scripts(False)
    with running_server(MANIFESTS[kind]) as server:
        browser.get(server.url)
        assert "/predict" in find(browser, ".routes").text
        assert "600,000" in find(browser, ".groups").text
        assert not any(
            each.is_displayed() for each in browser.find_elements(By.CSS_SELECTOR, "button, input, textarea")
        )
