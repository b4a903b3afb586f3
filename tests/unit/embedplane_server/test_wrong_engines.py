"""The gate: engines that are wrong, really exported and really built, and never published."""

import asyncio
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from embedplane_server.builders.conformance import load_references
from embedplane_server.errors import PermanentError, TransientError
from embedplane_server.export.manifest import GOLDEN_TEXTS, REFERENCES, export_entry
from embedplane_server.model import ModelDescription
from embedplane_server.results import FetchResult
from embedplane_server.settings import EngineSettings, Source
from embedplane_server.store import open_store
from tests.support import wrong_engines as wrong
from tests.support.steps import Steps

pytestmark = pytest.mark.model

EXACT = EngineSettings(backend="openvino", precision="float32")
WAYS = {
    "wrong pooling": wrong.pool_otherwise,
    "missing normalisation": wrong.leave_out_normalisation,
    "two layers swapped": wrong.swap_two_layers,
    "one matrix of another layer": wrong.swap_one_matrix,
    "random weights": wrong.draw_weights_anew,
    "positions off by one": wrong.shift_positions,
}


@dataclass(frozen=True)
class Exported:
    """A model whose right export is in a store."""

    steps: Steps
    fetched: FetchResult
    key: str

    @property
    def store(self) -> Path:
        return Path(self.steps.store.removeprefix("file://"))

    def copied(self, place: Path) -> "Exported":
        """Return the same in a store of the test's own."""
        shutil.copytree(self.store, place / "store")
        return replace(self, steps=replace(self.steps, store=f"file://{place / 'store'}"))

    def spoilt(self, place: Path, way: wrong.Spoil) -> "Exported":
        """Return one whose graph is wrong; references, tokenizer and description are the model's."""
        from embedplane_server.export import proofs, step  # noqa: PLC0415 -- torch, only for these tests

        copy = self.copied(place)
        shutil.rmtree(copy.store / "exports")
        (right,) = (self.store / export_entry(self.key)).glob("files-*")
        write = step._write_graph

        def with_the_right_references(_, folder):
            for name in (REFERENCES, GOLDEN_TEXTS):
                shutil.copyfile(right / name, folder / name)
            return len(load_references(folder).token_ids)

        def write_spoilt(model, *further):
            way(model)
            write(model, *further)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(proofs.Prover, "golden", with_the_right_references)
            patch.setattr(step, "_write_graph", write_spoilt)
            return replace(copy, key=copy.steps.export(copy.fetched))


def exported(model: Path, place: Path) -> Exported:
    steps, fetched = steps_of(model, place)
    return Exported(steps, fetched, steps.export(fetched))


def steps_of(model: Path, place: Path) -> tuple[Steps, FetchResult]:
    steps = Steps(f"file://{place / 'store'}", Source(path=model))
    return steps, steps.fetch()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return wrong.save_small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def small(folder, tmp_path_factory) -> Exported:
    return exported(folder, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Exported:
    place = tmp_path_factory.mktemp("wide")
    return exported(wrong.widen_activations(wrong.save_small_model(place / "model")), place)


def published(steps: Steps) -> list[str]:
    return asyncio.run(open_store(steps.store).names("engines"))


def refusal(steps: Steps, key: str, engine: EngineSettings = EXACT) -> str:
    with pytest.raises(PermanentError) as caught:
        steps.build(key, engine)
    assert caught.value.reason == "ConformanceFailed"
    assert published(steps) == []
    return caught.value.message


def test_the_right_engine_passes(small, tmp_path):
    proof = small.copied(tmp_path).steps.build(small.key, EXACT).conformance
    assert proof.texts >= 256 + 6 * len(wrong.PROMPTS)
    assert proof.minimum_cosine > 0.99999
    assert proof.first_percentile_cosine >= proof.minimum_cosine
    assert proof.maximum_norm_difference < 0.001
    assert proof.neighbor_overlap > 0.98
    assert proof.minimum_batch_cosine > 0.99999


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_wrong_engine_is_not_published(small, tmp_path, way):
    spoilt = small.spoilt(tmp_path, way)
    message = refusal(spoilt.steps, spoilt.key)
    assert message.count(" tokens) ") == 3, "the worst texts are named"


def test_activations_that_half_precision_cannot_hold_are_noticed(wide, tmp_path):
    spoilt = wide.spoilt(tmp_path, wrong.overflow_as_half_precision)
    message = refusal(spoilt.steps, spoilt.key)
    assert "a cosine of -1.000000 at least" in message, "what is not a number counts as -1"


def test_the_same_model_in_single_precision_passes(wide, tmp_path):
    assert wide.copied(tmp_path).steps.build(wide.key, EXACT).conformance.minimum_cosine > 0.999


def test_a_missing_prompt_is_noticed(tmp_path, monkeypatch):
    steps, fetched = steps_of(wrong.save_small_model(tmp_path / "prompted", default_prompt="query"), tmp_path)
    monkeypatch.setattr(ModelDescription, "default_prompt_text", "")
    assert "below the floor" in refusal(steps, steps.export(fetched))


def test_a_tokenizer_of_another_model_is_refused_by_the_export(folder, tmp_path, monkeypatch):
    from embedplane_server.export import reference  # noqa: PLC0415 -- torch, only for these tests

    steps, fetched = steps_of(folder, tmp_path)
    document = reference.tokenizer_document
    monkeypatch.setattr(
        reference, "tokenizer_document", lambda model: document(model).replace('"lowercase":true', '"lowercase":false')
    )
    with pytest.raises(PermanentError, match="has other token ids in sentence-transformers") as caught:
        steps.export(fetched)
    assert caught.value.reason == "UnsupportedModel"
    assert asyncio.run(open_store(steps.store).names("exports")) == []


def test_a_truncated_graph_in_the_store_is_set_aside_and_made_again(small, tmp_path):
    copy = small.copied(tmp_path)
    steps, fetched, key = copy.steps, copy.fetched, copy.key
    (weights,) = (copy.store / export_entry(key)).rglob("*.bin")
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(TransientError) as caught:
        steps.build(key, EXACT)
    assert caught.value.reason == "ExportCorrupt"
    assert published(steps) == []
    assert steps.fetch().export_keys == {}
    assert steps.build(steps.export(fetched), EXACT).conformance.minimum_cosine > 0.999


def test_truncated_weights_are_no_model(folder, tmp_path):
    copy = tmp_path / "truncated"
    shutil.copytree(folder, copy)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    steps, fetched = steps_of(copy, tmp_path)
    with pytest.raises(PermanentError, match="cannot load the model") as caught:
        steps.export(fetched)
    assert caught.value.reason == "UnsupportedModel"
