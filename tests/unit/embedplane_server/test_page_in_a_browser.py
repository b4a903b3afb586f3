"""The page in a real browser: what people do there, with a mouse, a keyboard, a phone, a key, or without scripts."""

from collections.abc import Iterator

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from embedplane_server.similarity import similarities
from tests.support.fake_engine import SPACE, engine_manifest
from tests.support.fake_server import RunningServer, running_server
from tests.support.page import LEAST_CONTRAST, find, results, text, write
from tests.support.reference import cosines, reference_model
from tests.support.waiting import wait_for
from tests.unit.embedplane_server.serving import vectors_of

pytestmark = pytest.mark.model

REMEMBER = """
const button = arguments[0];
window.said = [];
new MutationObserver(() => window.said.push(button.innerText)).observe(button, {characterData: true, subtree: true});
"""


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running_server(engine_manifest(prompts={"query": "find what answers ", "document": ""})) as running:
        yield running


@pytest.fixture
def locked(tmp_path) -> Iterator[RunningServer]:
    (tmp_path / "keys").write_text("secret\n")
    with running_server(api_keys_files=[tmp_path / "keys"]) as running:
        yield running


def test_texts_are_ranked_as_sentence_transformers_would(browser, minilm):
    browser.get(minilm.url)
    assert text(browser, "h1") == "minilm"
    query = find(browser, "#query").get_property("value")
    texts = find(browser, "#texts").get_property("value").splitlines()
    find(browser, "#ask button").click()
    found = results(browser)

    vectors = reference_model().encode([query, *texts], batch_size=1)
    expected = dict(zip(texts, cosines(np.tile(vectors[0], (len(texts), 1)), vectors[1:]), strict=True))
    assert [text for text, _, _ in found] == sorted(texts, key=lambda text: -expected[text])
    assert [score for _, score, _ in found] == pytest.approx([expected[text] for text, _, _ in found], abs=0.01)
    assert [bar for _, _, bar in found] == pytest.approx([100 * max(0, score) for _, score, _ in found], abs=0.1)
    assert found[0][0].startswith("Refunds reach your card")

    tokens = [len(ids) for ids in reference_model().tokenizer([query, *texts])["input_ids"]]
    taken = text(browser, ".taken")
    assert taken.startswith(f"Query: {tokens[0]} tokens, ")
    assert f"4 texts: {sum(tokens[1:])} tokens, " in taken
    assert taken.endswith(" ms")
    assert browser.complaints() == []


def test_the_python_example_works_as_it_stands(browser, minilm):
    browser.get(minilm.url)
    names: dict[str, object] = {}
    exec(find(browser, "#python").text, names)
    assert np.array(names["vectors"]).shape == (2, 384)
    names["client"].close()
    assert find(browser, "#curl").text.startswith(f"curl {minilm.url}/v1/embeddings ")


def test_a_prompt_is_sent_where_the_model_has_one(browser, server):
    browser.get(server.url)
    write(browser, "#query", "a b")
    write(browser, "#texts", "c d e")
    assert Select(find(browser, "#query-prompt")).first_selected_option.text == "query"
    find(browser, "#ask button").click()
    results(browser)
    assert text(browser, ".taken").startswith("Query: 7 tokens, "), "two special ones, two, and three of the prompt"

    Select(find(browser, "#query-prompt")).select_by_visible_text("none")
    find(browser, "#ask button").click()
    wait_for("an answer without the prompt", lambda: text(browser, ".taken").startswith("Query: 4 tokens, "))


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean", "manhattan"])
def test_scores_are_by_the_models_own_function(browser, similarity):
    query, texts = "when do I get my money back?", ["a", "b c", "d e f"]
    one, *others = vectors_of([query, *texts])
    expected = sorted(map(float, similarities(similarity, one, np.stack(others))), reverse=True)
    with running_server(engine_manifest(similarity=similarity)) as server:
        browser.get(server.url)
        write(browser, "#texts", "\n".join(texts))
        find(browser, "#ask button").click()
        found = results(browser)
    assert [score for _, score, _ in found] == pytest.approx(expected, abs=0.001)
    bars = [bar for _, _, bar in found]
    assert bars == sorted(bars, reverse=True)
    if similarity != "cosine":
        assert (bars[0], bars[-1]) == (100, 0), "from the greatest to the least, since there is no other scale"


def test_what_the_server_refuses_is_said_in_its_words(browser, server):
    browser.get(server.url)
    write(browser, "#texts", "word " * 65)
    find(browser, "#ask button").click()
    fault = wait_for("a fault", lambda: browser.find_elements(By.CSS_SELECTOR, "#answer .fault"))[0]
    assert "maximum context length is 64 tokens" in fault.text
    assert fault.aria_role == "alert"
    assert find(browser, "#ask button").is_enabled()


def test_the_keyboard_is_enough_and_everything_has_a_name(browser, server):
    browser.get(server.url)
    controls = browser.find_elements(By.CSS_SELECTOR, "button, input, textarea, select, a, pre")
    assert len(controls) >= 12
    assert [each.tag_name for each in controls if not each.accessible_name] == []
    for _ in range(20):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element.get_attribute("id") == "texts":
            break
    browser.switch_to.active_element.send_keys(Keys.CONTROL, Keys.ENTER)
    assert len(results(browser)) == 4
    outline = browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_text_can_be_read_by_day_and_by_night(browser, server, locked, color_scheme):
    browser.prefer(color_scheme)
    browser.get(server.url)
    find(browser, "#ask button").click()
    results(browser)
    contrasts = browser.contrasts()
    browser.get(locked.url)
    contrasts += browser.contrasts()
    assert len(contrasts) > 50
    assert [each for each in contrasts if each[1] < LEAST_CONTRAST] == []
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) > 380) == (color_scheme == "light")


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_phone_scrolls_in_one_direction(browser, server, width):
    browser.be_wide(width)
    browser.get(server.url)
    find(browser, "#ask button").click()
    results(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_without_scripts_the_facts_and_examples_stand_there_and_nothing_that_would_not_work(browser, server, locked):
    browser.run_scripts(False)
    browser.get(server.url)
    assert find(browser, "#space").text == SPACE
    assert find(browser, "#curl").text.startswith(f"curl {server.url}/v1/embeddings ")
    assert "600,000" in find(browser, ".groups").text
    assert not any(each.is_displayed() for each in browser.find_elements(By.CSS_SELECTOR, "button, input, textarea"))
    browser.get(locked.url)
    assert f"{locked.url}/info" in find(browser, "noscript").text


def test_the_vector_space_is_copied(browser, server):
    granted = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": server.url}
    browser.execute_cdp_cmd("Browser.grantPermissions", granted)
    browser.get(server.url)
    button = find(browser, "[data-copy=space]")
    assert button.accessible_name == "Copy the vector space"
    browser.execute_script(REMEMBER, button)  # it says so for a moment only
    button.click()
    wait_for("the button says so", lambda: "Copied" in browser.execute_script("return window.said"))
    assert browser.execute_script("return navigator.clipboard.readText()") == SPACE


def test_a_key_opens_the_page_and_is_forgotten_with_it(browser, locked):
    browser.get(locked.url)
    write(browser, "#key", "wrong")
    find(browser, "#unlock button").click()
    wait_for("a refusal", lambda: "Incorrect API key" in text(browser, "#unlock .fault"))
    write(browser, "#key", "secret")
    find(browser, "#unlock button").click()
    wait_for("the model", lambda: text(browser, "h1") == "minilm")
    find(browser, "#ask button").click()
    assert len(results(browser)) == 4

    kept = browser.execute_script("return [document.cookie, localStorage.length, sessionStorage.length, location.href]")
    assert kept == ["", 0, 0, f"{locked.url}/"]
    browser.refresh()
    assert browser.find_elements(By.ID, "ask") == []
    assert find(browser, "#key").get_property("value") == ""
