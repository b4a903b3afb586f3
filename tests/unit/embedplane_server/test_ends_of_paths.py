"""A slash at the end of a path makes no difference: nobody is sent elsewhere, with a key and a body, for it."""

import pytest

from embedplane_server.routes.operations import OPERATIONS
from tests.support.fake_engine import MANIFESTS, FakeEngine, FakeTokenizer, fake_application
from tests.unit.embedplane_server.serving import client_of, embedded, served, vectors_of

PLAIN = [each for each in OPERATIONS if "{" not in each.path and each.path != "/"]
OF_ITS_OWN_TIME = "/metrics"


@pytest.mark.parametrize("kind", MANIFESTS)
async def test_every_path_is_answered_with_a_slash_as_without(kind):
    manifest = MANIFESTS[kind]
    engine = FakeEngine(manifest.description.dimensions)
    async with client_of(engine, FakeTokenizer(), manifest) as client:
        for each in PLAIN:
            content = b"{}" if each.method == "post" else None
            without, with_slash = [
                await client.request(each.method, path, content=content) for path in (each.path, f"{each.path}/")
            ]
            assert with_slash.status_code == without.status_code, each.path
            assert with_slash.headers.get("content-type") == without.headers.get("content-type"), each.path
            assert with_slash.text == without.text or each.path == OF_ITS_OWN_TIME
            wrong = await client.request("delete", f"{each.path}/")
            assert (wrong.status_code, each.method.upper() in wrong.headers["allow"]) == (405, True)


async def test_a_path_of_ones_own_may_be_sent_with_one():
    async with served(default_route="/search/v1/embeddings") as client:
        answer = await client.post("/search/v1/embeddings/", json={"input": "a text"})
    assert (embedded(answer) == vectors_of(["a text"])).all()


async def test_paths_with_a_slash_need_the_key_that_they_need_without(tmp_path):
    (tmp_path / "keys").write_text("secret\n")
    async with served(api_keys_files=[tmp_path / "keys"]) as client:
        assert (await client.get("/info/")).status_code == 401
        assert (await client.get("/health/live/")).status_code == 200


async def test_no_answer_names_a_host_that_a_client_made_up():
    application = fake_application(FakeEngine())
    async with served() as client:
        for path in {path for _, path in application.routes} | {"/v1/models/minilm", "/models/", "/none", "//info"}:
            for sent in (path, f"{path}/", f"{path}//"):
                answer = await client.get(sent, headers={"host": "evil.example"}, follow_redirects=False)
                assert "location" not in answer.headers, sent
