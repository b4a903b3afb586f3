"""A server whose vector space retires closes each connection after its answer, so that pooled clients move on."""

from pathlib import Path

import pytest

from embedplane_server.retirement import LOOK_AGAIN_SECONDS, Retirement
from tests.unit.embedplane_server.serving import served


@pytest.mark.parametrize(("said", "closes"), [("Retiring", "close"), ("Retiring\n", "close"), ("", None), (None, None)])
async def test_connections_are_closed_while_the_file_says_that_the_space_retires(
    tmp_path: Path, said: str | None, closes: str | None
):
    role = tmp_path / "role"
    if said is not None:
        role.write_text(said)

    async with served(role_file=str(role)) as client:
        answer = await client.post("/v1/embeddings", json={"input": "x"})

    assert answer.status_code == 200
    assert answer.headers.get("connection") == closes


async def test_without_a_file_connections_stay_open():
    async with served() as client:
        assert "connection" not in (await client.post("/v1/embeddings", json={"input": "x"})).headers


def test_a_change_of_the_file_counts_within_a_second_in_both_directions(tmp_path: Path):
    now, role = 100.0, tmp_path / "role"
    role.write_text("")
    retirement = Retirement(role, lambda: now)
    assert not retirement.is_retiring

    for said, expected in (("Retiring", True), ("", False)):
        role.write_text(said)
        now += LOOK_AGAIN_SECONDS
        assert retirement.is_retiring is expected
