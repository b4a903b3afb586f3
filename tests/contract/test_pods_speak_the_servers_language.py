"""What the operator writes into pods, the server's settings accept, name by name and value by value."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from embedplane_operator.api.roles import ANNOTATION_ROLE, Role
from embedplane_operator.api.serving import ROUTE, TAKEN_ROUTE
from embedplane_operator.render.inputs import digest_of_texts
from embedplane_server import settings as server_settings
from embedplane_server.export.own_texts import read_own_texts
from embedplane_server.retirement import RETIRING
from embedplane_server.routes.openai import EMBEDDINGS_PATHS
from embedplane_server.routes.operations import OPERATIONS
from embedplane_server.settings import (
    BuildSettings,
    CollectSettings,
    ExportSettings,
    FetchSettings,
    ResolveSettings,
    ServeSettings,
)
from embedplane_server.store.remote import is_remote, read_place
from tests.support.rendering import ROOT, SPACE, every_manifest, model_of, settings_of

COMMANDS = {
    "fetch": FetchSettings,
    "resolve": ResolveSettings,
    "export": ExportSettings,
    "build": BuildSettings,
    "collect": CollectSettings,
    "serve": ServeSettings,
}
CASES = sorted((ROOT / "tests" / "data").glob("*/input.yaml"))


def containers_of(case: Path) -> dict[str, dict[str, Any]]:
    """Return the containers of a case by the command they run."""
    given = yaml.safe_load(case.read_text())
    model = model_of(given["spec"], **given.get("metadata", {}))
    manifests = every_manifest(model, settings_of(**given.get("settings", {})))
    pods = [each["spec"]["template"]["spec"] for each in manifests if each["kind"] in ("Job", "Deployment")]
    return {pod["containers"][0]["args"][0]: pod["containers"][0] for pod in pods}


def environment_of(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.parent.name)
def test_every_command_accepts_its_environment(case: Path, command: str) -> None:
    container = containers_of(case)[command]

    settings = COMMANDS[command].from_environment(environment_of(container))

    assert settings.store == "file:///store" or is_remote(settings.store)
    assert container["command"] == ["python", "-m", "embedplane_server"]


def test_fetch_understands_source_overrides_and_engine() -> None:
    environment = environment_of(containers_of(ROOT / "tests/data/cpu-everything/input.yaml")["fetch"])
    settings = FetchSettings.from_environment(environment)

    assert settings.source.hugging_face is not None
    assert settings.source.hugging_face.endpoint == "http://hub.example.com:8089"
    assert settings.source.hugging_face.revision == "v1.0"
    assert settings.overrides.prompts == {"query": "query: ", "passage": "passage: "}
    assert settings.overrides.normalize is False
    assert settings.engine.precision == "float32"


def test_a_build_knows_the_slice_and_the_least_driver_and_a_fetch_looks_for_the_same_engine() -> None:
    containers = containers_of(ROOT / "tests/data/gpu-slice/input.yaml")
    build = BuildSettings.from_environment(environment_of(containers["build"])).engine.gpu
    fetch = FetchSettings.from_environment(environment_of(containers["fetch"])).engine.gpu

    assert build is not None
    assert (build.mig_profile, build.minimum_driver) == ("1g.10gb", "580")
    assert fetch == build.model_copy(update={"minimum_driver": None})


def test_every_step_knows_the_texts_and_the_export_finds_them_where_they_are_mounted() -> None:
    containers = containers_of(ROOT / "tests/data/own-texts/input.yaml")
    export = ExportSettings.from_environment(environment_of(containers["export"]))
    build = BuildSettings.from_environment(environment_of(containers["build"]))
    fetch = FetchSettings.from_environment(environment_of(containers["fetch"]))

    assert export.texts == build.engine.texts == fetch.engine.texts == "9" * 64
    assert str(export.texts_folder) in {mount["mountPath"] for mount in containers["export"]["volumeMounts"]}


@pytest.mark.parametrize("content", [{"a.txt": "x\ny"}, {"a.txt": "x", "b": "ß\r\n\n"}])
def test_the_operator_and_the_export_take_the_same_digest_of_texts(tmp_path: Path, content: dict[str, str]) -> None:
    for key, value in content.items():
        (tmp_path / key).write_bytes(value.encode())

    assert read_own_texts(tmp_path, digest_of_texts({"data": content}))


def test_fetch_finds_its_token_and_its_folder_where_they_are_mounted() -> None:
    private = containers_of(ROOT / "tests/data/private-repository/input.yaml")["fetch"]
    claim = containers_of(ROOT / "tests/data/claim-source/input.yaml")["fetch"]

    token = FetchSettings.from_environment(environment_of(private)).token_file
    folder = FetchSettings.from_environment(environment_of(claim)).source.path

    assert token is not None
    assert str(token.parent) in [mount["mountPath"] for mount in private["volumeMounts"]]
    assert str(folder) == "/source/sentence-transformers/minilm"
    assert "/source" in [mount["mountPath"] for mount in claim["volumeMounts"]]


def test_fetch_finds_a_bucket_and_its_credentials_where_they_are_mounted() -> None:
    container = containers_of(ROOT / "tests/data/bucket-source/input.yaml")["fetch"]

    settings = FetchSettings.from_environment(environment_of(container))

    assert settings.source.object_storage is not None
    assert settings.source.object_storage.url == "s3://models/sentence-transformers/minilm"
    assert settings.source.object_storage.endpoint == "http://objects.example.com:9000"
    assert settings.source.object_storage.region == "eu-central-1"
    assert str(settings.source_credentials) in [mount["mountPath"] for mount in container["volumeMounts"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_finds_a_remote_store_below_its_namespace(command: str) -> None:
    container = containers_of(ROOT / "tests/data/remote-store/input.yaml")[command]

    place = read_place(COMMANDS[command].from_environment(environment_of(container)).store)

    assert (place.scheme, place.bucket, place.prefix) == ("s3", "artifacts", "embedplane/search")
    assert (place.endpoint, place.region) == ("https://objects.example.com:9000", "eu-central-1")
    assert str(place.credentials) in [mount["mountPath"] for mount in container["volumeMounts"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_finds_a_shared_remote_store_by_its_own_identity(command: str) -> None:
    container = containers_of(ROOT / "tests/data/remote-store-by-identity/input.yaml")[command]

    place = read_place(COMMANDS[command].from_environment(environment_of(container)).store)

    assert (place.scheme, place.bucket, place.prefix, place.credentials) == ("gs", "artifacts", "", None)


def test_build_and_fetch_mean_the_same_engine() -> None:
    containers = containers_of(ROOT / "tests/data/gpu/input.yaml")

    fetched = FetchSettings.from_environment(environment_of(containers["fetch"])).engine
    built = BuildSettings.from_environment(environment_of(containers["build"])).engine

    assert fetched == built
    assert built.gpu is not None
    assert (built.gpu.name, built.gpu.compute_capability) == ("NVIDIA L4", "8.9")


def test_the_server_knows_its_names_its_space_and_its_limits() -> None:
    containers = containers_of(ROOT / "tests/data/cpu-everything/input.yaml")
    settings = ServeSettings.from_environment(environment_of(containers["serve"]))

    assert settings.served_model_names == ("text-embedding-3-small", "minilm")
    assert settings.vector_space == SPACE
    assert (settings.port, settings.threads) == (8080, 2)
    assert (settings.max_batch_tokens, settings.max_queued_tokens) == (1024, 100_000)
    assert (settings.max_request_seconds, settings.max_connection_seconds) == (60, 30)
    assert settings.drain_delay_seconds == 5
    assert settings.minimum_cosine == 0.9999


def test_the_server_reads_its_role_where_the_pod_s_annotation_is_mounted() -> None:
    case = ROOT / "tests/data/cpu-minimal/input.yaml"
    server = containers_of(case)["serve"]
    settings = ServeSettings.from_environment(environment_of(server))
    (deployment,) = [
        each for each in yaml.safe_load_all((case.parent / "output.yaml").read_text()) if each["kind"] == "Deployment"
    ]
    volumes = {each["name"]: each for each in deployment["spec"]["template"]["spec"]["volumes"]}
    (mount,) = [each for each in server["volumeMounts"] if each["name"] == "role"]
    (item,) = volumes["role"]["downwardAPI"]["items"]

    assert str(settings.role_file) == f"{mount['mountPath']}/{item['path']}"
    assert item["fieldRef"]["fieldPath"] == f"metadata.annotations['{ANNOTATION_ROLE}']"
    assert Role.RETIRING == RETIRING


def test_the_server_knows_what_requests_may_ask_for_and_who_may_ask() -> None:
    plain = containers_of(ROOT / "tests/data/cpu-minimal/input.yaml")["serve"]
    container = containers_of(ROOT / "tests/data/cpu-everything/input.yaml")["serve"]
    defaults, settings = (ServeSettings.from_environment(environment_of(each)) for each in (plain, container))

    assert (settings.dimensions.default, settings.dimensions.allowed) == (256, (64, 128))
    assert settings.long_input == "Truncate"
    assert settings.token_encoding == "cl100k_base"
    assert settings.default_route == "/search/v1/embeddings"
    assert str(settings.api_keys_files[0]) in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert (defaults.dimensions.default, defaults.dimensions.allowed) == (None, ())
    assert defaults.long_input == "Reject"
    assert defaults.token_encoding == "model"
    assert defaults.default_route == "/v1/embeddings"
    assert defaults.api_keys_files == ()


def test_a_route_of_one_s_own_is_checked_against_all_that_the_server_answers() -> None:
    others = [each.path.replace("{name}", "a/b") for each in OPERATIONS if each.path not in EMBEDDINGS_PATHS]

    for path in (*others, *(f"/v1{each}" for each in others)):
        assert re.search(TAKEN_ROUTE, path) or not re.search(ROUTE, path), path
    for path in (*EMBEDDINGS_PATHS, "/search/embed", "/api/v1/embeddings", "/v2/embeddings", "/embed/search"):
        assert not re.search(TAKEN_ROUTE, path), path
    assert ROUTE == server_settings.ROUTE
