"""`/api/embed` and what Ollama's clients ask before."""

import numpy as np
import pytest

from embedplane_server import __version__
from tests.unit.embedplane_server.serving import served, vectors_of


@pytest.mark.parametrize(("given", "texts"), [("x", ["x"]), (["a short text", "x"], ["a short text", "x"])])
async def test_embed_answers_as_ollama_does(client, given, texts):
    body = (await client.post("/api/embed", json={"model": "minilm", "input": given, "keep_alive": "5m"})).json()
    assert np.array_equal(np.float32(body.pop("embeddings")), vectors_of(texts))
    assert body.pop("total_duration") > 0
    assert body == {"model": "minilm", "load_duration": 0, "prompt_eval_count": sum(len(t.split()) + 2 for t in texts)}


async def test_a_name_may_carry_ollamas_tag(client):
    answer = await client.post("/api/embed", json={"model": "minilm:latest", "input": "x"})
    assert answer.json()["model"] == "minilm:latest"


async def test_long_texts_are_cut_unless_asked_otherwise(client):
    long = {"model": "minilm", "input": "word " * 100}
    answer = await client.post("/api/embed", json=long)
    assert answer.status_code == 200
    assert answer.headers["x-embedplane-truncated"] == "1"
    answer = await client.post("/api/embed", json={**long, "truncate": False})
    assert answer.status_code == 400
    assert "maximum context length" in answer.json()["error"]


async def test_dimensions_follow_the_models_policy():
    async with served(dimensions={"allowed": [4]}) as client:
        answer = await client.post("/api/embed", json={"model": "minilm", "input": "x", "dimensions": 4})
        assert np.float32(answer.json()["embeddings"]).shape == (1, 4)


async def test_tags_and_version(client):
    models = (await client.get("/api/tags")).json()["models"]
    assert [model["name"] for model in models] == ["minilm", "org/minilm", "model"]
    assert models[0]["details"]["quantization_level"] == "bfloat16"
    assert (await client.get("/api/version")).json() == {"version": __version__}


@pytest.mark.parametrize(
    ("body", "status"),
    [({"model": "other", "input": "x"}, 404), ({"model": "minilm"}, 400), ({"model": "minilm", "input": []}, 400)],
)
async def test_failures_have_ollamas_body(client, body, status):
    answer = await client.post("/api/embed", json=body)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert isinstance(answer.json()["error"], str)
