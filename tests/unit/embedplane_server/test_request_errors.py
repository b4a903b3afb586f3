"""Every failure is told in OpenAI's form, with the status that makes clients do the right thing."""

import asyncio

import httpx
import pytest

from embedplane_server.scheduling.work import Lane
from tests.support.eventually import until
from tests.support.fake_engine import SPACE


@pytest.fixture
def serve_options():
    return {"max_queued_tokens": 2000, "max_request_seconds": 30}


def error_of(answer: httpx.Response, status: int) -> dict[str, str | None]:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["message", "type", "param", "code"]
    assert "x-request-id" in answer.headers
    assert answer.headers["x-embedplane-vector-space"] == SPACE
    return body["error"]


async def post(client, body, **options):
    return await client.post(
        "/v1/embeddings", **({"json": body} if not isinstance(body, bytes) else {"content": body}), **options
    )


@pytest.mark.parametrize("body", [b"", b"{", b'{"input": "\\ud800"}', b"\xff\xfe", b'{"input": ' + b"[" * 5000])
async def test_a_body_that_is_not_json(client, body):
    error = error_of(await post(client, body), 400)
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith("We could not parse the JSON body of your request.")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null", b"3"])
async def test_json_that_is_not_an_object(client, body):
    assert "must be an object" in error_of(await post(client, body), 400)["message"]


async def test_a_missing_input_is_named(client):
    error = error_of(await post(client, {"model": "minilm"}), 400)
    assert error == {
        "message": "Missing required parameter: 'input'.",
        "type": "invalid_request_error",
        "param": "input",
        "code": None,
    }


@pytest.mark.parametrize(
    "value",
    [None, 3, True, {}, {"text": "x"}, [None], ["x", 3], [3, "x"], [1.5], [True], [[1], ["x"]], [["x"]], [[[1]]]],
)
async def test_an_input_of_a_wrong_type(client, value):
    error = error_of(await post(client, {"input": value}), 400)
    assert error["param"] == "input"
    assert error["message"] == (
        "Invalid value for 'input': expected a string, a list of strings, a list of token ids "
        "or a list of lists of token ids."
    )


@pytest.mark.parametrize("value", ["", [], [""], ["x", ""], [[]], [[101, 102], []]])
async def test_an_empty_input(client, value):
    error = error_of(await post(client, {"input": value}), 400)
    assert error["param"] == "input"
    assert "must not be empty" in error["message"] or "not this model's" in error["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("encoding_format", "hex"), ("dimensions", "8"), ("model", 3), ("user", 3), ("dimensions", 8.5)],
)
async def test_a_field_of_a_wrong_type_is_named(client, field, value):
    error = error_of(await post(client, {"input": "x", field: value}), 400)
    assert error["param"] == field
    assert error["message"].startswith(f"Invalid value for '{field}': ")


@pytest.mark.parametrize("dimensions", [0, -1, 4, 9])
async def test_other_dimensions_than_the_models(client, dimensions):
    error = error_of(await post(client, {"input": "x", "dimensions": dimensions}), 400)
    assert error["param"] == "dimensions"
    assert "This model has 8 dimensions" in error["message"]


async def test_a_model_that_is_not_served(client):
    error = error_of(await post(client, {"input": "x", "model": "gpt-9"}), 404)
    assert error["code"] == "model_not_found"
    assert error["param"] == "model"
    assert "The model `gpt-9` does not exist" in error["message"]
    assert error_of(await client.get("/v1/models/gpt-9"), 404)["code"] == "model_not_found"


async def test_an_input_longer_than_the_window_has_openais_wording(client):
    error = error_of(await post(client, {"input": ["x", "word " * 70]}), 400)
    assert error["message"] == (
        "This model's maximum context length is 64 tokens, however you requested 72 tokens "
        "(72 in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
    )
    assert error["type"] == "invalid_request_error"


async def test_too_many_inputs(client):
    error = error_of(await post(client, {"input": ["x"] * 2049}), 400)
    assert "2049 inputs, but a request may hold at most 2048" in error["message"]


async def test_too_many_tokens_in_one_request(client):
    ids = [101, *[2000] * 62, 102]
    error = error_of(await post(client, {"input": [ids] * 2048}), 400)
    assert error["code"] == "request_larger_than_queue"
    texts = ["word " * 62] * 2048
    assert error_of(await post(client, {"input": texts}), 400)["code"] == "request_larger_than_queue"


@pytest.mark.parametrize(
    "ids", [[57668, 53901], [2000, 2001], [101, 2000], [101, 40_000, 102], [101, -1, 102], [9906, 1917], [101, 102]]
)
async def test_token_ids_of_another_tokenizer_are_refused_rather_than_embedded(client, ids):
    error = error_of(await post(client, {"input": [ids]}), 400)
    assert error["code"] == "foreign_tokens"
    assert "check_embedding_ctx_length=False" in error["message"]


async def test_a_request_that_pins_another_vector_space(client):
    pin = {"x-embedplane-vector-space": "vs1-ffffffffffffffffffff"}
    error = error_of(await post(client, {"input": "x"}, headers=pin), 412)
    assert error["code"] == "vector_space_mismatch"
    pin = {"x-embedplane-vector-space": f"{SPACE};dimensions=4"}
    assert error_of(await post(client, {"input": "x"}, headers=pin), 412)["code"] == "vector_space_mismatch"


async def test_a_body_that_is_too_large(client):
    answer = await post(client, b'{"input": "' + b"x" * (16 * 1024 * 1024) + b'"}')
    assert error_of(answer, 413)["code"] == "request_too_large"
    assert answer.headers["connection"] == "close"


async def test_an_unknown_path(client):
    error = error_of(await client.post("/v1/chat/completions", json={}), 404)
    assert error["message"] == "Invalid URL (POST /v1/chat/completions)"
    assert error["code"] == "unknown_url"


async def test_a_method_that_is_not_allowed(client):
    answer = await client.get("/v1/embeddings")
    assert error_of(answer, 405)["code"] == "method_not_supported"
    assert answer.headers["allow"] == "POST"


async def test_a_full_queue_says_when_to_come_again_and_closes_the_connection(client, application, engine):
    engine.hold()
    first = asyncio.create_task(post(client, {"input": "x"}))
    await asyncio.to_thread(engine.wait_until_busy)
    second = asyncio.create_task(post(client, {"input": ["word " * 48] * 36}))
    await until(lambda: application.scheduler.queued(Lane.BULK).tokens == 1800)
    answer = await post(client, {"input": ["word " * 48] * 10})
    error = error_of(answer, 429)
    assert error["code"] == "rate_limit_exceeded"
    assert answer.headers["retry-after"] == "1"
    assert 100 <= int(answer.headers["retry-after-ms"]) <= 1000
    assert answer.headers["connection"] == "close"
    engine.release()
    assert {(await first).status_code, (await second).status_code} == {200}


async def test_a_failing_engine(client, engine):
    engine.fails_on = set()
    error = error_of(await post(client, {"input": "x"}), 500)
    assert error["type"] == "server_error"
    assert error["code"] == "engine_failed"


async def test_a_fault_of_our_own_is_an_answer_too(client, application, monkeypatch):
    monkeypatch.setattr(application.scheduler, "admit", None)
    error = error_of(await post(client, {"input": "x"}), 500)
    assert error["code"] == "internal_error"
    assert "NoneType" not in error["message"]
