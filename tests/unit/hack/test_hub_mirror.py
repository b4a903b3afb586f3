"""The hub mirror as huggingface_hub's own client sees it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hack.demo.repositories import Commit, Repositories
from tests.support.hub import mirroring

CONTENT = {
    "config.json": b'{"hidden_size": 8}',
    "1_Pooling/config.json": b"{}",
    "model.safetensors": bytes(range(256)) * 9,
}


def write_folder(folder: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("model"), CONTENT)


@pytest.fixture(scope="module")
def endpoint(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    repositories = Repositories()
    for name in ("some/open", "some/gated", "some/private"):
        repositories.add(name, folder)
    repositories.add("some/open@v2", write_folder(tmp_path_factory.mktemp("v2"), {"config.json": b"{}"}))
    repositories.protect("some/gated", "secret", is_private=False)
    repositories.protect("some/private", "hidden", is_private=True)
    with mirroring(repositories) as url:
        yield url


def test_a_branch_names_a_commit_with_its_files_and_digests(endpoint: str, folder: Path):
    info = HfApi(endpoint=endpoint, token=False).model_info("some/open", revision="main", files_metadata=True)

    commit = Commit.of_folder(folder)
    assert info.sha == commit.id
    assert {file.rfilename: file.size for file in info.siblings or []} == {n: len(c) for n, c in CONTENT.items()}
    weights = next(file for file in info.siblings or [] if file.rfilename == "model.safetensors")
    assert weights.lfs is not None
    assert weights.lfs.sha256 == commit.files["model.safetensors"].sha256


def test_blob_ids_are_those_of_git(folder: Path):
    # git hash-object of '{}'
    assert Commit.of_folder(folder).files["1_Pooling/config.json"].blob_id == "9e26dfeeb6e641a33dae4961196235bdb965b21b"


def test_a_commit_follows_from_content_and_names(tmp_path: Path, folder: Path):
    assert Commit.of_folder(write_folder(tmp_path / "same", CONTENT)).id == Commit.of_folder(folder).id
    assert Commit.of_folder(write_folder(tmp_path / "less", {"config.json": b"{}"})).id != Commit.of_folder(folder).id


def test_a_snapshot_comes_down_whole(endpoint: str, tmp_path: Path):
    target = Path(snapshot_download("some/open", endpoint=endpoint, cache_dir=tmp_path, token=False))

    assert {name: (target / name).read_bytes() for name in CONTENT} == CONTENT


def test_a_commit_id_is_a_revision(endpoint: str, folder: Path, tmp_path: Path):
    commit = Commit.of_folder(folder).id
    path = hf_hub_download(
        "some/open", "config.json", revision=commit, endpoint=endpoint, cache_dir=tmp_path, token=False
    )

    assert Path(path).read_bytes() == CONTENT["config.json"]


def test_another_branch_is_another_commit(endpoint: str):
    api = HfApi(endpoint=endpoint, token=False)

    assert api.model_info("some/open", revision="v2").sha != api.model_info("some/open").sha


def test_a_tree_lists_folders_and_files(endpoint: str):
    api = HfApi(endpoint=endpoint, token=False)

    assert {entry.path for entry in api.list_repo_tree("some/open")} == {
        "1_Pooling",
        "config.json",
        "model.safetensors",
    }
    assert "1_Pooling/config.json" in {entry.path for entry in api.list_repo_tree("some/open", recursive=True)}


def test_a_range_goes_on_where_a_download_stopped(endpoint: str):
    answer = httpx.get(f"{endpoint}/some/open/resolve/main/model.safetensors", headers={"Range": "bytes=2000-"})

    assert answer.status_code == 206
    assert answer.content == CONTENT["model.safetensors"][2000:]


@pytest.mark.parametrize(
    ("repo", "revision", "name", "error"),
    [
        ("nobody/nothing", "main", "config.json", RepositoryNotFoundError),
        ("some/private", "main", "config.json", RepositoryNotFoundError),
        ("some/open", "v9", "config.json", RevisionNotFoundError),
        ("some/open", "main", "no.json", EntryNotFoundError),
        ("some/gated", "main", "config.json", GatedRepoError),
    ],
)
def test_what_a_stranger_may_not_have_is_refused_as_the_hub_does(
    endpoint: str, tmp_path: Path, repo: str, revision: str, name: str, error: type[Exception]
):
    with pytest.raises(error):
        hf_hub_download(repo, name, revision=revision, endpoint=endpoint, cache_dir=tmp_path, token=False)


@pytest.mark.parametrize(("repo", "token"), [("some/gated", "secret"), ("some/private", "hidden")])
def test_the_right_token_opens_a_repository(endpoint: str, tmp_path: Path, repo: str, token: str):
    path = hf_hub_download(repo, "config.json", endpoint=endpoint, cache_dir=tmp_path, token=token)

    assert Path(path).read_bytes() == CONTENT["config.json"]


def test_a_wrong_token_is_said_to_be_wrong(endpoint: str):
    with pytest.raises(HfHubHTTPError) as refused:
        HfApi(endpoint=endpoint, token="wrong").model_info("some/open")

    assert refused.value.response.status_code == 401
    assert not isinstance(refused.value, RepositoryNotFoundError)


def test_a_token_for_another_repository_opens_no_gate(endpoint: str, tmp_path: Path):
    with pytest.raises(GatedRepoError):
        hf_hub_download("some/gated", "config.json", endpoint=endpoint, cache_dir=tmp_path, token="hidden")
