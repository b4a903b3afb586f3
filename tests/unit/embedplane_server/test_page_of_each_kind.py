"""The page of models of each kind: what they are, which routes they answer, and examples that work."""

import os
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from itertools import pairwise

import httpx
import pytest

from embedplane_server.builders.manifest import EngineManifest
from embedplane_server.results import ConformanceResult
from embedplane_server.routes.offers import OFFERED
from embedplane_server.routes.operations import OPERATIONS
from tests.support.fake_engine import MANIFESTS, SPACE, FakeEngine, FakeTokenizer, classifying_manifest
from tests.support.fake_server import running_server
from tests.unit.embedplane_server.serving import client_of, served
from tests.unit.embedplane_server.test_page import text_of

KEY = {"authorization": "Bearer secret"}
FACTS = {
    "embedding": (
        "A text-embedding model. Served by openvino 2026.4.1 in bfloat16.",
        "Compare texts",
        "Dimensions 8",
        "Similarity cosine",
        "Conformance ≥ 0.99980 cosine",
        "Tokens of one text 64",
    ),
    "reranker": (
        "A reranker, which scores how well texts fit a query. Served by openvino 2026.4.1 in bfloat16.",
        "Rank texts",
        "Label LABEL_0",
        "Scores 0 to 1 sigmoid",
        "Tokens of a query and a text together 64",
    ),
    "classifier": (
        "A classifier, which scores labels for a text or a pair of texts. Served by openvino 2026.4.1 in bfloat16.",
        "Classify a text",
        "Labels 2",
        "Labels joy , anger",
        "Scores 0 to 1 softmax",
        "Tokens of a text, or a pair of texts together 64",
    ),
}
LIMITS = (
    f"Vector space {SPACE}",
    "Window 64 tokens",
    "Served names minilm , org/minilm , model",
    "Texts 2,048",
    "Body 16 MiB",
)
FIELDS = {"embedding": ["query", "texts"], "reranker": ["query", "texts"], "classifier": ["text", "second"]}


@asynccontextmanager
async def serving(manifest: EngineManifest, **settings) -> AsyncIterator[httpx.AsyncClient]:
    engine = FakeEngine(manifest.description.dimensions)
    async with client_of(engine, FakeTokenizer(), manifest, **settings) as client:
        yield client


async def page_of(manifest: EngineManifest) -> str:
    async with serving(manifest) as client:
        return (await client.get("/")).text


def code(page: str, name: str) -> str:
    """Return an example as it is copied."""
    found = re.search(rf'<code id="{name}">(.*?)</code>', page, flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", "", found[1]))


@pytest.mark.parametrize("kind", MANIFESTS)
async def test_it_says_what_the_model_is_and_its_limits(kind):
    text = text_of(await page_of(MANIFESTS[kind]))
    assert [fact for fact in (*FACTS[kind], *LIMITS) if fact not in text] == []
    foreign = [fact for other in FACTS.keys() - {kind} for fact in FACTS[other]]
    assert [fact for fact in foreign if fact in text] == []


@pytest.mark.parametrize("kind", MANIFESTS)
async def test_the_routes_it_names_are_those_that_the_model_has(kind):
    async with serving(MANIFESTS[kind]) as client:
        page = (await client.get("/")).text
        named = re.findall(
            r"<code>([^<]+)</code>", page.partition('<dl class="facts routes">')[2].partition("</dl>")[0]
        )
        answers = {
            each.path: await client.request(
                each.method, each.path.replace("{name}", "minilm"), content=b"{}" if each.method == "post" else None
            )
            for each in OPERATIONS
        }
    own = {path for path, answer in answers.items() if "is not offered here" not in answer.text}
    assert sorted(named) == sorted(own)
    of_some_kinds = [path in OFFERED for path in named]
    assert of_some_kinds == sorted(of_some_kinds, reverse=True), "what this kind is for comes first"
    assert 10 < len(own) < len(answers), "each kind lacks some"


async def test_a_path_of_ones_own_is_among_the_routes():
    async with served(default_route="/search/v1/embeddings") as client:
        assert "<code>/search/v1/embeddings</code>" in (await client.get("/")).text


@pytest.mark.parametrize("kind", MANIFESTS)
async def test_the_box_has_the_fields_of_the_kind_and_each_has_a_label(kind):
    page = await page_of(MANIFESTS[kind])
    fields = re.findall(r'<(?:input|textarea) id="(\w+)"', page)
    assert fields == FIELDS[kind]
    assert [name for name in fields if f'<label for="{name}">' not in page] == []
    assert page.count('aria-live="polite"') == 1
    assert "{{" not in page


@pytest.mark.parametrize("kind", MANIFESTS)
def test_the_curl_example_is_answered_as_it_stands(kind, tmp_path, monkeypatch):
    (tmp_path / "keys").write_text("secret\n")
    monkeypatch.setenv("EMBEDPLANE_API_KEY", "secret")
    with running_server(MANIFESTS[kind], api_keys_files=[tmp_path / "keys"]) as server:
        page = httpx.get(server.url, headers=KEY).text
        words = shlex.split(os.path.expandvars(code(page, "curl").replace("\\\n", "")))
        headers = dict(word.split(": ", 1) for flag, word in pairwise(words) if flag == "-H")
        answer = httpx.post(words[1], content=words[-1], headers=headers)
    assert words[1].startswith(server.url)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("kind", "scores"), [("reranker", 2), ("classifier", 2)])
@pytest.mark.parametrize("has_keys", [False, True])
def test_the_python_example_of_scores_works_as_it_stands(kind, scores, has_keys, tmp_path, monkeypatch):
    (tmp_path / "keys").write_text("secret\n")
    monkeypatch.setenv("EMBEDPLANE_API_KEY", "secret")
    with running_server(MANIFESTS[kind], api_keys_files=[tmp_path / "keys"] if has_keys else []) as server:
        names = {}
        exec(code(httpx.get(server.url, headers=KEY if has_keys else {}).text, "python"), names)
    found = [each["score"] for each in names["scores"]]
    assert len(found) == scores
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(
    ("activation", "said", "scale"),
    [
        ("identity", "Scores any number the logit itself", "own"),
        ("sigmoid", "Scores 0 to 1 sigmoid", "0 to 1"),
        ("softmax", "Scores 0 to 1 softmax", "0 to 1"),
    ],
)
async def test_it_says_what_scores_are(activation, said, scale):
    page = await page_of(classifying_manifest("no", "yes", activation=activation))
    assert said in text_of(page)
    assert f'data-scale="{scale}"' in page


async def test_scores_are_said_to_be_as_near_to_the_reference_as_they_were_found():
    proof = ConformanceResult(
        texts=60, minimum_cosine=0.9995, mean_cosine=0.9999, maximum_difference=0.000123, rank_correlation=0.9998
    )
    text = text_of(await page_of(classifying_manifest("no", "yes", conformance=proof)))
    assert "Conformance ≤ 0.000123 difference" in text
    assert (
        "scores differ by 0.000123 at most from those of sentence-transformers over 60 texts, "
        "and their order correlates by 0.99980"
    ) in text


async def test_engines_of_older_versions_say_what_is_known_of_them():
    text = text_of(await page_of(classifying_manifest("no", "yes")))
    assert "Conformance ≥ 0.99980 as a cosine" in text
    assert "scores count as a cosine of 0.99980 at least, 0.99990 on average, to sentence-transformers" in text


async def test_of_very_many_labels_the_first_are_named():
    text = text_of(await page_of(classifying_manifest(*(f"class-{number}" for number in range(1060)))))
    assert "Labels 1,060" in text
    assert "class-49 and 1,010 more, which /info names" in text
    assert "class-50" not in text


async def test_labels_are_text_and_never_markup():
    evil = "</code><b onclick=x>'\"&"
    page = await page_of(classifying_manifest(evil, "other"))
    assert "<b " not in page
    assert evil in text_of(page)


async def test_without_the_key_models_of_all_kinds_look_alike(tmp_path):
    (tmp_path / "keys").write_text("secret\n")
    pages = set()
    for manifest in MANIFESTS.values():
        async with serving(manifest, api_keys_files=[tmp_path / "keys"]) as client:
            locked, opened = await client.get("/"), await client.get("/", headers=KEY)
        pages.add(locked.text)
        assert (locked.status_code, opened.status_code) == (200, 200)
        assert opened.text != locked.text
    assert len(pages) == 1
