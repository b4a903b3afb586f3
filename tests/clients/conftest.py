"""The real all-MiniLM-L6-v2, served by a process of its own, and what sentence-transformers makes of the same texts."""

from collections.abc import Iterator

import pytest

from embedplane_server.results import BuildResult, FetchResult
from embedplane_server.settings import Source
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
