"""Clients, unmodified and by their defaults, get the vectors of sentence-transformers from a real server."""

import functools

import httpx
import numpy as np
import pytest

from hack.provision import clients
from tests.clients.running import Task, run_script
from tests.support.classifiers import reference_cross_encoder
from tests.support.reference import cosines, reference_model
from tests.support.texts import texts_up_to

pytestmark = pytest.mark.provisioned

TEXTS = [*texts_up_to(150, 12), "naïve 日本語 \U0001f600", "two\nlines"]
LONG = ["word " * 400, "short"]
NODE = pytest.param(
    "with_openai.cjs", marks=pytest.mark.skipif(not clients.has_npm(), reason="no Node with npm on this machine")
)
OPENAIS_OWN = ["with_openai.py", "with_async_openai.py", NODE]
OVER_OPENAIS = ["with_haystack.py", "with_litellm.py", "with_llama_index_as_openai.py"]
THAT_CUT = ["with_cohere.py", "with_llama_index_as_tei.py", "with_ollama.py"]


@pytest.fixture(scope="session")
def expected():
    return reference_model().encode(TEXTS, batch_size=1)


TASKS = {"texts": Task(TEXTS), "long": Task(LONG), "stranger": Task(TEXTS, model="another")}


@functools.cache
def run_of(script, server):
    return dict(zip(TASKS, run_script(script, server, *TASKS.values()), strict=True))


def told_by(script, server, task="texts"):
    """Return what a client makes of a task; all tests look at the same run."""
    return run_of(script, server)[task]


def langchain_s(server, **settings):
    (told,) = run_script("with_langchain.py", server, TASKS["texts"], **settings)
    return told


def over_plain_http(server, texts):
    """Return vectors and tokens as the server's JSON has them."""
    answer = httpx.post(f"{server}/v1/embeddings", json={"input": texts, "encoding_format": "float"}, timeout=60)
    assert answer.status_code == 200, answer.text
    vectors = np.array([entry["embedding"] for entry in answer.json()["data"]], dtype=np.float32)
    return vectors, answer.json()["usage"]["prompt_tokens"]


@pytest.mark.parametrize("script", [*OPENAIS_OWN, *OVER_OPENAIS, *THAT_CUT])
def test_vectors_are_those_of_sentence_transformers(server, expected, script):
    told = told_by(script, server)
    assert cosines(told.vectors, expected).min() >= 0.999
    _, tokens = over_plain_http(server, TEXTS)
    assert told.facts.get("tokens", tokens) == tokens


@pytest.mark.parametrize("script", ["with_openai.py", NODE, "with_litellm.py", "with_ollama.py", "with_cohere.py"])
def test_every_bit_of_a_vector_arrives(server, script):
    assert np.array_equal(told_by(script, server).vectors, over_plain_http(server, TEXTS)[0])


@pytest.mark.parametrize("script", [*OPENAIS_OWN, "with_llama_index_as_openai.py"])
def test_a_text_beyond_the_window_is_the_clients_own_error(server, script):
    told = told_by(script, server, "long").facts
    assert (told["error"], told["status"], told["code"]) == ("BadRequestError", 400, "context_length_exceeded"), told
    assert "maximum context length is 256 tokens" in told["message"]


def test_litellm_knows_a_text_beyond_the_window_by_its_wording(server):
    told = told_by("with_litellm.py", server, "long").facts
    assert (told["error"], told["status"]) == ("ContextWindowExceededError", 400)
    assert "maximum context length is 256 tokens" in told["message"]


def test_haystack_leaves_out_what_is_refused_and_logs_why(server):
    told = told_by("with_haystack.py", server, "long")
    assert told.facts["vectors"] == []
    assert "maximum context length is 256 tokens" in told.log


@pytest.mark.parametrize("script", THAT_CUT)
def test_clients_that_ask_for_it_get_long_texts_cut(server, script):
    found = told_by(script, server, "long").vectors
    assert cosines(found, reference_model().encode(LONG, batch_size=1)).min() >= 0.999


def test_langchain_by_default_is_told_what_to_set(server):
    told = langchain_s(server).facts
    assert (told["error"], told["status"], told["code"]) == ("BadRequestError", 400, "foreign_tokens")
    assert "check_embedding_ctx_length=False" in told["message"]


def test_langchain_that_was_told_gets_the_right_vectors(server, expected):
    told = langchain_s(server, check_embedding_ctx_length=False)
    assert cosines(told.vectors, expected).min() >= 0.999


def test_langchain_that_says_whose_ids_it_sends_is_understood(server, expected):
    header = {"x-embedplane-token-encoding": "cl100k_base"}
    told = langchain_s(server, default_headers=header)
    assert cosines(told.vectors, expected).min() >= 0.999


def test_langchain_by_default_is_understood_by_a_server_that_was_made_for_it(steps, made, expected):
    with steps.served(*made, "minilm", token_encoding="cl100k_base") as server:
        told = langchain_s(server)
        assert cosines(told.vectors, expected).min() >= 0.999


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("with_openai.py", "NotFoundError"),
        ("with_litellm.py", "NotFoundError"),
        ("with_llama_index_as_openai.py", "NotFoundError"),
        ("with_cohere.py", "NotFoundError"),
        ("with_ollama.py", "ResponseError"),
    ],
)
def test_a_model_that_is_not_served_is_the_clients_own_error(server, script, error):
    told = told_by(script, server, "stranger").facts
    assert (told["error"], told["status"]) == (error, 404)
    assert "The model `another` does not exist" in told["message"]


def test_ollama_lists_the_model(server):
    assert told_by("with_ollama.py", server).facts["listed"] == ["minilm"]


def test_coheres_bits_are_the_signs(server):
    told = told_by("with_cohere.py", server)
    assert told.facts["binary"] == np.packbits(told.vectors > 0, axis=-1).tolist()


@pytest.mark.parametrize(
    ("script", "settings"),
    [
        ("reranking_with_cohere.py", {"kind": "ClientV2"}),
        ("reranking_with_cohere.py", {"kind": "Client"}),
        ("reranking_with_litellm.py", {"provider": "cohere"}),
        ("reranking_with_litellm.py", {"provider": "hosted_vllm"}),
    ],
)
def test_clients_rank_as_sentence_transformers_does(reranker_folder, reranker, script, settings):
    (ranked,) = run_script(script, reranker, TASKS["texts"], **settings)
    expected = reference_cross_encoder(reranker_folder).rank(TEXTS[0], TEXTS[1:], top_k=5, batch_size=1)
    assert ranked.facts.get("order") == [each["corpus_id"] for each in expected], ranked.facts
