"""A real server under all that clients do: every answer is expected, and its own counts are what was sent."""

import pytest

from embedplane_server.tokenization import load_tokenizer
from hack.bench.soaking import Target, soak
from tests.support.reference import minilm_folder

pytestmark = pytest.mark.model


async def test_a_real_server_survives_a_soak_and_counts_right(minilm):
    tokenizer = load_tokenizer(minilm_folder() / "tokenizer.json")
    report = await soak(Target(minilm.url, minilm.pid, tokenizer), requests=100)
    assert report["problems"] == []
    assert report["tokens"]["success"] >= report["tokens"]["answered"] > 0
