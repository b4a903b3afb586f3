"""The page of a server: what it tells, to whom, and what it lets a browser do."""

import base64
import hashlib
import re
from html import unescape

import pytest

from tests.support.fake_engine import SPACE
from tests.unit.embedplane_server.serving import served


def text_of(html: str) -> str:
    """Return what a reader without scripts sees."""
    body = re.sub(r"<(script|style|option)\b.*?</\1>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


async def test_it_tells_what_is_served(client):
    answer = await client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = text_of(answer.text)
    for fact in (
        "minilm",
        "Dimensions 8",
        "Window 64 tokens",
        "Similarity cosine",
        f"Vector space {SPACE}",
        "Served names minilm , org/minilm , model",
        "Prompts none",
        "Pooling mean, normalised",
        "Commit c0ffee",
        "Texts 2,048",
        "Longer texts are refused",
        "Body 16 MiB",
        "Backend openvino 2026.4.1",
        "Precision bfloat16",
        "cosine 0.99980 at least, 0.99990 on average, to sentence-transformers over 50 texts",
        "Built 2026-11-01 00:00 UTC",
    ):
        assert fact in text
    assert "{{" not in answer.text
    assert "select" not in re.findall(r"<(\w+)", answer.text), "a model without prompts offers none"


async def test_it_offers_the_models_prompts_and_begins_with_the_one_that_is_meant():
    async with served({"prompts": {"STS": "", "passage": "p: ", "query": "q: "}, "default_prompt": "STS"}) as client:
        page = (await client.get("/")).text
    _, query, texts = re.split(r"<select ", page)
    options = ["", "STS", "passage", "query"]
    assert re.findall(r'<option value="(.*?)"', query) == re.findall(r'<option value="(.*?)"', texts) == options
    assert re.findall(r'<option value="(\w+)" selected', query) == ["query"]
    assert re.findall(r'<option value="(\w+)" selected', texts) == ["passage"]
    assert '<option value="">default (STS)</option>' in query


@pytest.mark.parametrize("host", ["models.example.com", "127.0.0.1:8080", "[::1]:8080", "minilm.search"])
async def test_examples_have_the_url_by_which_the_client_came(client, host):
    page = text_of((await client.get("/", headers={"host": host})).text)
    assert f"curl http://{host} /v1/embeddings" in page
    assert f'base_url=" http://{host} /v1"' in page


@pytest.mark.parametrize("host", ["<script>alert(1)</script>", 'x"y', "no host", "x/y", ""])
async def test_a_host_that_is_none_is_not_repeated(client, host):
    page = (await client.get("/", headers={"host": host})).text
    assert not host or host not in page
    assert "http://localhost:8080</span>/v1/embeddings" in page


async def test_names_are_text_and_never_markup():
    evil = "</script><b onclick=x>'\"&"
    async with served({"prompts": {evil: ""}}, model_name=evil, served_model_names=(evil,)) as client:
        page = (await client.get("/")).text
    assert "<b " not in page
    assert evil in text_of(page)


async def test_a_browser_may_run_the_pages_own_script_and_nothing_else(client):
    answer = await client.get("/")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    for tag in ("script", "style"):
        elements = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(elements[0].encode()).digest()).decode()
        assert (len(elements), policy[f"{tag}-src"]) == (1, f"'sha256-{digest}'")
    assert (policy["default-src"], policy["connect-src"], policy["frame-ancestors"]) == ("'none'", "'self'", "'none'")
    assert (policy["base-uri"], policy["form-action"]) == ("'none'", "'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_it_needs_nothing_from_elsewhere(client):
    page = (await client.get("/")).text
    assert set(re.findall(r"https?://[\w.:]+", page)) == {"http://server", "http://www.w3.org"}, "the SVG's name only"
    assert not re.search(r"<[^>]*\s(on\w+|style|src)=", page)


async def test_without_the_key_it_tells_no_more_than_info_would(tmp_path):
    (tmp_path / "keys").write_text("secret\n")
    async with served(api_keys_files=[tmp_path / "keys"]) as client:
        locked = await client.get("/")
        wrong = await client.get("/", headers={"authorization": "Bearer wrong"})
        opened = await client.get("/", headers={"authorization": "Bearer secret"})
    assert locked.status_code == 200
    for fact in ("minilm", SPACE, "openvino", "c0ffee", "bfloat16"):
        assert fact not in locked.text
        assert fact in opened.text
    assert 'type="password"' in locked.text
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")
    assert 'api_key=os.environ["EMBEDPLANE_API_KEY"]' in text_of(opened.text)
    assert "Authorization: Bearer $EMBEDPLANE_API_KEY" in text_of(opened.text)


async def test_no_answer_is_kept_by_a_cache(client):
    assert (await client.get("/")).headers["cache-control"] == "no-store"
