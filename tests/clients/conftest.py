"""The real all-MiniLM-L6-v2 and a small reranker, each served by a process of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from embedplane_server.results import BuildResult, FetchResult
from embedplane_server.settings import Source
from tests.support.classifiers import save_bert
from tests.support.reference import minilm_folder
from tests.support.steps import Steps


@pytest.fixture(scope="session")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return Steps(f"file://{tmp_path_factory.mktemp('store')}", Source(path=minilm_folder()))


@pytest.fixture(scope="session")
def made(steps: Steps) -> tuple[FetchResult, BuildResult]:
    fetched = steps.fetch()
    return fetched, steps.build(steps.export(fetched))


@pytest.fixture(scope="session")
def server(steps: Steps, made: tuple[FetchResult, BuildResult]) -> Iterator[str]:
    with steps.served(*made, "minilm") as url:
        yield url


@pytest.fixture(scope="session")
def reranker_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("models") / "reranker")


@pytest.fixture(scope="session")
def reranker(tmp_path_factory: pytest.TempPathFactory, reranker_folder: Path) -> Iterator[str]:
    steps = Steps(f"file://{tmp_path_factory.mktemp('rerankers')}", Source(path=reranker_folder))
    fetched = steps.fetch()
    with steps.served(fetched, steps.build(steps.export(fetched)), "minilm") as url:
        yield url
