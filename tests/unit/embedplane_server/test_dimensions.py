"""Shorter vectors: the beginnings of the model's own, normalised again if it normalises, under a name of their own."""

import numpy as np
import pytest

from embedplane_server.errors import PermanentError
from embedplane_server.matryoshka import Matryoshka, unit
from tests.support.fake_engine import DIMENSIONS, SPACE, FakeEngine, fake_application
from tests.unit.embedplane_server.serving import embedded, served, vectors_of

POLICY = {"default": 4, "allowed": [2, 4, 6]}
TEXTS = ["a short text", "x"]


async def test_allowed_dimensions_are_the_beginning_normalised_again():
    async with served(dimensions={"allowed": [4]}) as client:
        answer = await client.post("/v1/embeddings", json={"input": TEXTS, "dimensions": 4})
        vectors = embedded(answer)
        beginnings = vectors_of(TEXTS)[:, :4]
        assert np.allclose(vectors, beginnings / np.linalg.norm(beginnings, axis=1, keepdims=True), atol=1e-7)
        assert answer.headers["x-embedplane-vector-space"] == f"{SPACE};dimensions=4"
        native = await client.post("/v1/embeddings", json={"input": TEXTS})
        assert np.array_equal(embedded(native), vectors_of(TEXTS))
        assert native.headers["x-embedplane-vector-space"] == SPACE


async def test_a_model_that_does_not_normalise_is_only_cut():
    async with served({"normalized": False}, dimensions={"allowed": [4]}) as client:
        answer = await client.post("/v1/embeddings", json={"input": TEXTS, "dimensions": 4})
        assert np.array_equal(embedded(answer), vectors_of(TEXTS)[:, :4])


async def test_a_served_default_counts_on_every_route_and_is_part_of_the_spaces_name():
    async with served(dimensions=POLICY) as client:
        answer = await client.post("/v1/embeddings", json={"input": TEXTS})
        expected = unit(vectors_of(TEXTS)[:, :4])
        assert np.array_equal(embedded(answer), expected)
        assert answer.headers["x-embedplane-vector-space"] == f"{SPACE};dimensions=4"
        assert np.array_equal(np.float32((await client.post("/embed", json={"inputs": TEXTS})).json()), expected)
        info = (await client.get("/info")).json()
        assert (info["dimensions"], info["native_dimensions"]) == (4, DIMENSIONS)
        assert info["allowed_dimensions"] == [2, 4, 6, DIMENSIONS]
        assert info["vector_space"] == f"{SPACE};dimensions=4"
        card = (await client.get("/v1/models/minilm")).json()
        assert (card["dimensions"], card["vector_space"]) == (4, f"{SPACE};dimensions=4")
        native = await client.post("/v1/embeddings", json={"input": TEXTS, "dimensions": DIMENSIONS})
        assert np.array_equal(embedded(native), vectors_of(TEXTS))
        assert native.headers["x-embedplane-vector-space"] == SPACE
        assert f'vector_space="{SPACE};dimensions=4"' in (await client.get("/metrics")).text


@pytest.mark.parametrize("dimensions", [0, -1, 3, 9, 10**30])
async def test_others_are_refused_with_the_allowed_ones(dimensions):
    async with served(dimensions=POLICY) as client:
        error = (await client.post("/v1/embeddings", json={"input": "x", "dimensions": dimensions})).json()["error"]
        assert error["param"] == "dimensions"
        assert "Allowed are 2, 4, 6, 8" in error["message"]


@pytest.mark.parametrize(
    ("pin", "dimensions", "status"),
    [
        (SPACE, None, 412),
        (SPACE, DIMENSIONS, 200),
        (f"{SPACE};dimensions=4", None, 200),
        (f"{SPACE}; dimensions=4", 4, 200),
        (f"{SPACE};dimensions=4", 2, 412),
        (f"{SPACE};dimensions=2", 2, 200),
        (f"{SPACE};dimensions=8", 8, 200),
        (f"{SPACE};dimensions=8", None, 412),
        ("vs1-ffffffffffffffffffff;dimensions=4", None, 412),
    ],
)
async def test_a_pin_means_exactly_one_length_and_without_one_the_native(pin, dimensions, status):
    async with served(dimensions=POLICY) as client:
        body = {"input": "x", **({} if dimensions is None else {"dimensions": dimensions})}
        headers = {"x-embedplane-vector-space": pin}
        assert (await client.post("/v1/embeddings", json=body, headers=headers)).status_code == status


@pytest.mark.parametrize("policy", [{"default": 9}, {"allowed": [4, 16]}])
def test_a_policy_that_the_model_cannot_keep_is_refused_at_start(policy):
    with pytest.raises(PermanentError, match="EMBEDPLANE_DIMENSIONS: the model has 8 dimensions"):
        fake_application(FakeEngine(), dimensions=policy)


def test_a_vector_of_zeros_stays_one():
    matryoshka = Matryoshka(SPACE, 4, normalized=True, allowed=[2])
    vectors = matryoshka.fit(np.array([[0, 0, 1, 0], [3, 4, 0, 0]], dtype=np.float32), 2)
    assert vectors.tolist() == [[0, 0], [np.float32(0.6), np.float32(0.8)]]
    assert vectors.dtype == np.float32
