"""A path of one's own answers as /v1/embeddings does, whatever it is called, and never instead of another route."""

import pytest

from embedplane_server.errors import PermanentError
from embedplane_server.settings import ServeSettings
from tests.support.fake_engine import FakeEngine, fake_application
from tests.unit.embedplane_server.serving import embedded, served, vectors_of

ASKED = {"input": ["a text"]}
OWN = ("/v1/embeddings", "/embeddings")


@pytest.mark.parametrize(
    ("route", "paths"),
    [
        ("/search/v1/embeddings", {"/search/v1/embeddings"}),
        ("/v1/search", {"/v1/search", "/search"}),
        ("/v1", {"/v1"}),
        ("/v1beta/embeddings", {"/v1beta/embeddings"}),
        ("/embeddings", set()),
        ("/v1/embeddings", set()),
    ],
)
async def test_it_answers_there_without_its_v1_and_where_openai_does(route, paths):
    application = fake_application(FakeEngine(), default_route=route)
    assert {path for method, path in application.routes if method == "POST"} >= {*paths, *OWN}
    async with served(default_route=route) as client:
        for path in (*paths, *OWN):
            assert (embedded(await client.post(path, json=ASKED)) == vectors_of(["a text"])).all()
        documented = (await client.get("/openapi.json")).json()["paths"]
        assert paths <= documented.keys()
        metrics = (await client.get("/metrics")).text
    assert 'route="/v1/embeddings"' in metrics
    assert 'route="other"' not in metrics


@pytest.mark.parametrize("route", ["/api/v1/embeddings", "/v2/vectors"])
async def test_its_failures_are_openais_though_its_name_is_like_anothers(route):
    async with served(default_route=route) as client:
        answer = await client.post(route, json={"input": ""})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
        assert (await client.get(route)).status_code == 405


async def test_it_needs_a_key_like_every_other(tmp_path):
    (tmp_path / "keys").write_text("first")
    async with served(default_route="/search", api_keys_files=[tmp_path / "keys"]) as client:
        assert (await client.post("/search", json=ASKED)).status_code == 401
        headers = {"authorization": "Bearer first"}
        assert (await client.post("/search", json=ASKED, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "route",
    ["/embed", "/v1/embed", "/v1/models", "/v1/models/minilm", "/models/a/b", "/v1/health", "/metrics", "/rerank"],
)
def test_it_takes_no_other_routes_place(route):
    with pytest.raises(PermanentError, match=r"EMBEDPLANE_DEFAULT_ROUTE .* is another route of this server"):
        fake_application(FakeEngine(), default_route=route)


@pytest.mark.parametrize("route", ["", "/", "search", "/a/", "/a//b", "/a/../b", "/a?b=c", "/{name}", "https://a/b"])
def test_it_is_a_plain_path(route):
    environment = {
        "EMBEDPLANE_ENGINE_KEY": "en1-0",
        "EMBEDPLANE_MODEL_NAME": "minilm",
        "EMBEDPLANE_SERVED_MODEL_NAMES": '["minilm"]',
        "EMBEDPLANE_VECTOR_SPACE": "vs1-0",
        "EMBEDPLANE_THREADS": "1",
        "EMBEDPLANE_DEFAULT_ROUTE": route,
    }
    with pytest.raises(PermanentError, match="EMBEDPLANE_DEFAULT_ROUTE"):
        ServeSettings.from_environment(environment)
