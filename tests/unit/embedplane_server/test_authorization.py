"""API keys from files: who has none is told so, and keys are exchanged without a restart."""

from pathlib import Path

import pytest

from embedplane_server.errors import PermanentError
from embedplane_server.keys import ApiKeys
from tests.unit.embedplane_server.serving import served

ASKED = {"input": "x"}


def write(path: Path, *lines: str) -> Path:
    """Replace a file as an editor or Kubernetes does."""
    path.with_name(".new").write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.with_name(".new").replace(path)
    return path


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer first"},
        {"authorization": "bearer  second"},
        {"authorization": "Api-Key first"},
        {"x-api-key": "first"},
        {"api-key": "second"},
    ],
)
async def test_every_key_of_every_file_is_accepted_however_clients_send_it(tmp_path, headers):
    files = [write(tmp_path / "a", "# for the search", "first", ""), write(tmp_path / "b", "  second  ")]
    async with served(api_keys_files=files) as client:
        for path, body in [("/v1/embeddings", ASKED), ("/embed", {"inputs": "x"})]:
            assert (await client.post(path, json=body, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "You didn't provide an API key."),
        ({"authorization": "Basic Zmlyc3Q="}, "You didn't provide an API key."),
        ({"authorization": "Bearer firs"}, "Incorrect API key provided."),
        ({"authorization": "Bearer # comment"}, "Incorrect API key provided."),
        ({"authorization": "Bearer "}, "Incorrect API key provided."),
        ({"authorization": b"Bearer \xff\xfe"}, "Incorrect API key provided."),
    ],
)
async def test_without_a_valid_key_the_answer_is_openais_401(tmp_path, headers, message):
    async with served(api_keys_files=[write(tmp_path / "keys", "first", "# comment")]) as client:
        answer = await client.post("/v1/embeddings", json=ASKED, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["message"].startswith(message)
        assert (answer.json()["error"]["type"], answer.json()["error"]["code"]) == (
            "invalid_request_error",
            "invalid_api_key",
        )
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["x-request-id"]


async def test_probes_and_metrics_are_open_and_nothing_else(tmp_path):
    async with served(api_keys_files=[write(tmp_path / "keys", "first")]) as client:
        for path in ("/health", "/health/live", "/health/ready", "/metrics"):
            assert (await client.get(path)).status_code == 200
        others = ("/info", "/info/", "/v1/models", "/v1/models/minilm", "/openapi.json", "/api/tags", "/nothing")
        for path in (*others, "/health/other", "/health//", "/metrics/other"):
            assert (await client.get(path)).status_code == 401
        metrics = (await client.get("/metrics")).text
        assert 'embedplane_rejected_total{model="minilm",reason="unauthorized"' in metrics


async def test_each_family_has_its_own_body(tmp_path):
    async with served(api_keys_files=[write(tmp_path / "keys", "first")]) as client:
        assert list((await client.post("/embed")).json()) == ["error", "error_type"]
        assert list((await client.post("/v2/embed")).json()) == ["message"]
        assert list((await client.post("/api/embed")).json()) == ["error"]


async def test_without_files_nobody_needs_a_key(client):
    assert (await client.post("/v1/embeddings", json=ASKED)).status_code == 200


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_keys_are_read_again_when_a_file_changes(tmp_path):
    clock = Clock()
    keys = ApiKeys([write(tmp_path / "keys", "old")], clock)
    write(tmp_path / "keys", "new", "old")
    assert not keys.accept("new")
    clock.now = 1.5
    assert keys.accept("new")
    assert keys.accept("old")
    write(tmp_path / "keys", "new")
    clock.now = 3
    assert not keys.accept("old")
    write(tmp_path / "keys", "# all are revoked")
    clock.now = 4.5
    assert not keys.accept("new")


def test_a_folder_is_read_as_kubernetes_mounts_a_secret(tmp_path):
    clock = Clock()
    for version, key in (("..1", "old"), ("..2", "new")):
        (tmp_path / version).mkdir()
        write(tmp_path / version / "team-a", key)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "team-a").symlink_to(Path("..data") / "team-a")
    keys = ApiKeys([tmp_path], clock)
    assert keys.accept("old")
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    clock.now = 2
    assert keys.accept("new")
    assert not keys.accept("old")


def test_while_a_file_cannot_be_read_the_keys_of_before_stay_valid(tmp_path, caplog):
    clock = Clock()
    keys = ApiKeys([write(tmp_path / "keys", "first")], clock)
    (tmp_path / "keys").unlink()
    clock.now = 2
    assert keys.accept("first")
    assert "cannot read the API keys" in caplog.text


@pytest.mark.parametrize("lines", [None, ["# nothing"]])
def test_a_server_does_not_start_without_the_keys_it_should_have(tmp_path, lines):
    if lines is not None:
        write(tmp_path / "keys", *lines)
    with pytest.raises(PermanentError, match="EMBEDPLANE_API_KEYS_FILES"):
        ApiKeys([tmp_path / "keys"])
