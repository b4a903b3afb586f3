"""Entries of the store that a disk has damaged, of each kind and in each way: set aside, told, and made again."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from embedplane_server.__main__ import main
from embedplane_server.builders import benchmark
from embedplane_server.export.manifest import export_entry
from embedplane_server.sources import ModelAbout
from embedplane_server.store import files_below, open_store
from embedplane_server.store.quarantine import KEPT
from tests.support.damage import DAMAGES, flip
from tests.support.small_engine import KEY, SmallModel
from tests.unit.embedplane_server.model_folder import write_model

every_damage = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
Damage = Callable[[Path], None]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallModel:
    monkeypatch.setattr(benchmark, "_MEASURED_SECONDS", 0.01)
    model = SmallModel(tmp_path / "store")
    model.export()
    return model


def aside(store: Path) -> list[str]:
    """The entries that were set aside."""
    return [str(each.parent.relative_to(store)) for each in (store / "quarantine").rglob("manifest.json")]


@every_damage
def test_an_engine_is_set_aside_and_built_again(small: SmallModel, damage: Damage):
    built = small.build()
    folder = small.engine_folder(built)
    damage(folder)

    again = small.build()

    assert again.set_aside is not None
    (told,) = again.set_aside
    assert told.entry == str(folder.relative_to(small.root))
    assert aside(small.root) == [f"{told.place}/{told.entry}"]
    (files,) = (path for path in (small.root / told.place / told.entry).iterdir() if path.is_dir())
    assert files.name not in {path.name for path in folder.iterdir()}
    assert small.build().set_aside is None  # now it is whole


@every_damage
def test_an_export_is_set_aside_and_the_build_says_so(small: SmallModel, tmp_path: Path, damage: Damage):
    damage(small.root / export_entry(KEY))
    log = tmp_path / "termination-log"
    environment = {
        "EMBEDPLANE_STORE": small.url,
        "EMBEDPLANE_EXPORT_KEY": KEY,
        "EMBEDPLANE_ENGINE": '{"backend": "openvino"}',
        "EMBEDPLANE_THREADS": "1",
        "EMBEDPLANE_TERMINATION_LOG": str(log),
    }

    assert main(["build"], environment) == 65

    error = json.loads(log.read_text())["error"]
    assert error["reason"] == "ExportCorrupt"
    (place,) = aside(small.root)
    assert place.endswith(f"/{export_entry(KEY)}")
    assert place.removesuffix(f"/{export_entry(KEY)}") in error["message"]
    small.export()  # the export step, which runs again
    assert small.build().set_aside is None


@every_damage
def test_a_model_is_set_aside_and_fetched_again(tmp_path: Path, damage: Damage):
    log, store = tmp_path / "termination-log", tmp_path / "store"
    environment = {
        "EMBEDPLANE_STORE": store.as_uri(),
        "EMBEDPLANE_SOURCE": json.dumps({"path": str(write_model(tmp_path / "model"))}),
        "EMBEDPLANE_ENGINE": '{"backend": "openvino"}',
        "EMBEDPLANE_TERMINATION_LOG": str(log),
    }
    assert main(["fetch"], dict(environment)) == 0
    first = json.loads(log.read_text())["result"]
    name = f"models/{first['digest']}"
    damage(store / name)

    assert main(["fetch"], dict(environment)) == 0

    second = json.loads(log.read_text())["result"]
    (told,) = second.pop("setAside")
    assert second == first
    assert aside(store) == [f"{told['place']}/{name}"]
    assert main(["fetch"], dict(environment)) == 0
    assert json.loads(log.read_text())["result"] == first


def test_an_export_step_names_a_model_that_is_damaged(tmp_path: Path):
    pytest.importorskip("torch")
    log, store = tmp_path / "termination-log", open_store((tmp_path / "store").as_uri())
    name, model = f"models/{'0' * 64}", write_model(tmp_path / "model")
    entry = asyncio.run(store.publish(name, model, files_below(model), {"commit": "c0ffee"}))
    flip(tmp_path / "store" / name / entry.folder / "model.safetensors")
    variables = {"MODEL_DIGEST": "0" * 64, "FORMAT": "openvino", "STORE": (tmp_path / "store").as_uri()}
    environment = {f"EMBEDPLANE_{key}": value for key, value in variables.items()}

    assert main(["export"], environment | {"EMBEDPLANE_TERMINATION_LOG": str(log)}) == 65

    error = json.loads(log.read_text())["error"]
    assert error["reason"] == "ModelCorrupt"
    assert "model.safetensors is missing or differs from its digest" in error["message"]


def test_only_the_newest_damaged_entries_are_kept(small: SmallModel):
    places = []
    for _ in range(KEPT + 2):
        built = small.build()
        places += [each.place for each in built.set_aside or ()]
        flip(small.engine_folder(built) / "manifest.json")
    kept = sorted(path.name for path in (small.root / "quarantine").iterdir())
    assert len(kept) == KEPT
    assert f"quarantine/{kept[-1]}" == places[-1]


async def test_an_object_store_sets_aside_as_a_folder_does(tmp_path: Path):
    store, model = open_store("memory:///", tmp_path / "copies"), write_model(tmp_path / "model")
    name = "models/d"
    entry = await store.publish(name, model, files_below(model), {"commit": "c0ffee"})
    await store.write(f"{name}/{entry.folder}/model.safetensors", b"other weights")

    assert await store.find_intact(name, ModelAbout) is None

    told = store.quarantine.of(name)
    assert told is not None
    assert await store.read(f"{told.place}/{name}/{entry.folder}/model.safetensors") == b"other weights"
    assert await store.read(f"{name}/{entry.folder}/model.safetensors") is None


def test_an_entry_of_an_earlier_version_has_no_seal_and_is_taken_as_it_is(small: SmallModel):
    built = small.build()
    manifest = small.engine_folder(built) / "manifest.json"
    document = json.loads(manifest.read_text())
    assert len(document.pop("seal")) == 64
    manifest.write_text(json.dumps(document))
    assert small.build() == built
