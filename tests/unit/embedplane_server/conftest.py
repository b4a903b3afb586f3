"""The application around the fake engine, called in process; real models and a browser, in processes of their own."""

from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import TYPE_CHECKING

import httpx
import pytest

from embedplane_server.app import Application
from tests.support.fake_engine import FakeEngine, fake_application
from tests.support.minilm import ServedMiniLM, minilm_up

if TYPE_CHECKING:
    from tests.support.browser import Browser
    from tests.support.tensorrt.families import Exported, Make
    from tests.support.tensorrt.workshop import Workshop


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def serve_options() -> dict[str, object]:
    """Settings of the served application; a test module overrides this fixture."""
    return {}


@pytest.fixture
async def application(engine: FakeEngine, serve_options: dict[str, object]) -> AsyncIterator[Application]:
    application = fake_application(engine, **serve_options)
    async with application.running():
        yield application
        engine.release()


@pytest.fixture
async def client(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedMiniLM]:
    """One server for all tests that are marked `model`: to export and to build takes a minute."""
    with minilm_up(tmp_path_factory.mktemp("cache")) as served:
        yield served


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Browser]":
    from tests.support.browser import running_browser  # noqa: PLC0415 -- selenium, only for tests of the page

    with running_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(one_browser: "Browser") -> "Browser":
    one_browser.run_scripts(True)
    one_browser.prefer("light")
    one_browser.be_wide(1200)
    one_browser.get("about:blank")
    one_browser.complaints()
    return one_browser


@pytest.fixture(scope="session")
def bert_for_gpus(tmp_path_factory: pytest.TempPathFactory) -> "Workshop":
    """A small BERT that was exported to ONNX, in a store: tests that build take a copy of their own."""
    from tests.support.tensorrt.workshop import open_workshop  # noqa: PLC0415 -- not where only the wire is tested

    return open_workshop(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> "Make":
    """Return the ONNX graph of a family's model and the model, by the family's name; made once for all tests."""
    from tests.support.tensorrt import families  # noqa: PLC0415 -- as above

    @cache
    def export(name: str) -> "Exported":
        folder = tmp_path_factory.mktemp(name)
        return families.export(families.save(name, folder / "model"), folder / "export")

    return export
