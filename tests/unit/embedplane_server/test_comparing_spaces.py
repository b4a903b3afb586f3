"""`compare A B`: how differently two spaces rank the same texts, by servers and by index exports."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from embedplane_server.errors import PermanentError
from embedplane_server.migration.columns import Columns
from embedplane_server.migration.comparing import Comparison, compare
from embedplane_server.migration.neighbours import Ranked, alikeness
from tests.support.reference import reference_model
from tests.support.texts import text_of
from tests.unit.embedplane_server.migrating import endpoint_of, jsonl, rows_of
from tests.unit.embedplane_server.serving import vectors_of

TEXTS = [text_of(2 + number % 20, start=number) for number in range(40)]


def ranked(vectors: np.ndarray, similarity: str = "cosine", queries: np.ndarray | None = None) -> Ranked:
    return Ranked(vectors if queries is None else queries, vectors, similarity, is_same=queries is None)


def export(path: Path, vectors: np.ndarray, *, texts: bool = True) -> Path:
    rows = rows_of(TEXTS)
    given = [{"id": row["id"], **({"text": row["text"]} if texts else {})} for row in rows]
    return jsonl(path, [{**row, "embedding": vector.tolist()} for row, vector in zip(given, vectors, strict=True)])


def test_a_space_ranks_like_itself_and_like_its_rotation():
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((50, 16)).astype(np.float32)
    rotation, _ = np.linalg.qr(rng.standard_normal((16, 16)))
    summary = alikeness(ranked(vectors), ranked((vectors @ rotation).astype(np.float32))).summary()
    assert summary["meanOverlap"] == summary["sameFirst"] == 1
    assert summary["meanRankCorrelation"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean", "manhattan"])
def test_overlap_and_correlation_are_those_of_their_definitions(similarity):
    rng = np.random.default_rng(2)
    one, other = (rng.standard_normal((30, 8)).astype(np.float32) for _ in range(2))
    queries = rng.standard_normal((5, 8)).astype(np.float32)
    found = alikeness(ranked(one, similarity, queries), ranked(other, similarity, queries), depth=7)
    for row, query in enumerate(queries):
        scores = [near(similarity, query, vectors) for vectors in (one, other)]
        first = [set(np.argsort(-each)[:7]) for each in scores]
        assert found.overlap[row] == len(first[0] & first[1]) / 7
        assert found.correlation[row] == pytest.approx(spearmanr(*scores).statistic, abs=1e-6)
        assert found.same_first[row] == (np.argmax(scores[0]) == np.argmax(scores[1]))


def near(similarity: str, query: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return what sentence-transformers' `similarity` functions return."""
    match similarity:
        case "cosine":
            return vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
        case "dot":
            return vectors @ query
        case "euclidean":
            return -np.sqrt(((vectors - query) ** 2).sum(axis=1))
        case _:
            return -np.abs(vectors - query).sum(axis=1)


async def test_a_server_ranks_like_the_export_of_its_own_vectors(tmp_path):
    stored = export(tmp_path / "index.jsonl", vectors_of(TEXTS))
    async with endpoint_of() as endpoint:
        answer = await compare(Comparison(sides=(str(stored), endpoint.url)), {endpoint.url: endpoint})
    assert answer.as_document()["meanOverlap"] == 1
    assert answer.names == (str(stored), f"{endpoint.url} (vs1-00112233445566778899)")


async def test_two_exports_are_compared_on_the_ids_that_both_have(tmp_path):
    one = export(tmp_path / "one.jsonl", vectors_of(TEXTS))
    other = export(tmp_path / "other.jsonl", vectors_of([f"{text} else" for text in TEXTS]))
    other.write_text("".join(other.read_text().splitlines(keepends=True)[5:25]))
    document = (await compare(Comparison(sides=(str(one), str(other))), {})).as_document()
    assert document["documents"] == document["queries"] == 20
    assert document["meanOverlap"] < 1
    assert [each["overlap"] for each in document["worst"]] == sorted(each["overlap"] for each in document["worst"])


async def test_queries_and_documents_get_the_prompts_of_their_roles(tmp_path):
    texts = jsonl(tmp_path / "texts.jsonl", rows_of(TEXTS))
    queries = tmp_path / "queries.txt"
    queries.write_text("first question\n\nsecond question\n")
    prompts = {"prompts": {"query": "query: ", "document": "passage: "}}
    async with endpoint_of() as plain, endpoint_of(model=prompts) as prompted:
        prompted.url = "http://prompted"
        wanted = Comparison(sides=(plain.url, prompted.url), texts=texts, queries=queries)
        answer = await compare(wanted, {plain.url: plain, prompted.url: prompted})
    expected = alikeness(
        ranked(vectors_of(TEXTS), queries=vectors_of(["first question", "second question"])),
        ranked(
            vectors_of([f"passage: {text}" for text in TEXTS]),
            queries=vectors_of(["query: first question", "query: second question"]),
        ),
    )
    assert np.array_equal(answer.found.overlap, expected.overlap)
    assert np.array_equal(answer.found.correlation, expected.correlation)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"texts": None}, "both sides are servers, so texts are needed"),
        ({"columns": Columns(text="body")}, "at least 3 are needed"),
    ],
)
async def test_what_is_missing_is_named(tmp_path, changes, message):
    texts = jsonl(tmp_path / "texts.jsonl", rows_of(TEXTS))
    async with endpoint_of() as endpoint:
        wanted = replace(Comparison(sides=(endpoint.url, endpoint.url), texts=texts), **changes)
        with pytest.raises(PermanentError, match=message):
            await compare(wanted, {endpoint.url: endpoint})


async def test_an_export_without_texts_needs_them_for_a_server(tmp_path):
    stored = export(tmp_path / "index.jsonl", vectors_of(TEXTS), texts=False)
    async with endpoint_of() as endpoint:
        with pytest.raises(PermanentError, match=r"'doc-0' has no text to embed. Give the texts: --texts FILE"):
            await compare(Comparison(sides=(str(stored), endpoint.url)), {endpoint.url: endpoint})


async def test_an_export_that_mixes_spaces_is_refused(tmp_path):
    stored = export(tmp_path / "index.jsonl", vectors_of(TEXTS))
    stored.write_text(stored.read_text() + json.dumps({"id": "x", "text": "y", "embedding": [1.0, 2.0]}) + "\n")
    with pytest.raises(PermanentError, match=r"differ in length. It mixes spaces"):
        await compare(Comparison(sides=(str(stored), str(stored))), {})


@pytest.mark.model
def test_minilm_ranks_like_sentence_transformers_and_unlike_its_first_tokens(minilm, tmp_path):
    vectors = reference_model().encode(TEXTS)
    stored = export(tmp_path / "index.jsonl", vectors)
    same = run_command("compare", str(stored), minilm.url, "--json")
    assert same["meanOverlap"] > 0.98
    assert same["meanRankCorrelation"] > 0.999
    firsts = export(tmp_path / "firsts.jsonl", first_token_vectors())
    other = run_command("compare", str(firsts), minilm.url, "--json")
    assert other["meanOverlap"] < same["meanOverlap"] - 0.05


def first_token_vectors() -> np.ndarray:
    """Return MiniLM's vectors with another pooling: another space of the same weights."""
    states = reference_model().encode(TEXTS, output_value="token_embeddings")
    return np.stack([np.asarray(each[0]) for each in states])


def run_command(*arguments: str) -> dict:
    command = [sys.executable, "-m", "embedplane_server", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
