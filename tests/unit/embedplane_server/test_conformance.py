"""The proof and the measurement of an engine, with engines that are right, wrong or slow."""

import numpy as np
import pytest

from embedplane_server.builders.benchmark import measure_speed, suitable_budget
from embedplane_server.builders.conformance import References, cosine, load_references, measure, save_references
from embedplane_server.builders.manifest import EngineManifest
from embedplane_server.builders.step import hold_to_floor
from embedplane_server.errors import PermanentError
from embedplane_server.results import ConformanceResult
from tests.support.fake_engine import FakeEngine, engine_manifest, vector_of

TOKEN_IDS = tuple(tuple(range(1, length + 1)) for length in (3, 40, 5, 64, 8, 2, 17, 30, 4, 9))


def references() -> References:
    return References(TOKEN_IDS, np.stack([vector_of(ids) for ids in TOKEN_IDS]))


class WrongWhenPadded(FakeEngine):
    """As an engine that forgets the attention mask: right alone, wrong beside a longer text."""

    def embed(self, batch):
        vectors = super().embed(batch)
        padded = [len(ids) < batch.longest for ids in batch.token_ids]
        vectors[padded] += 0.5
        return vectors


class Broken(FakeEngine):
    def embed(self, batch):
        return np.full_like(super().embed(batch), np.nan)


def test_a_right_engine_has_a_cosine_of_one():
    found = measure(FakeEngine(), references())
    assert found.texts == len(TOKEN_IDS)
    assert found.minimum_cosine == pytest.approx(1)
    assert found.mean_cosine == pytest.approx(1)


def test_texts_are_embedded_alone_and_in_mixed_batches():
    engine = FakeEngine()
    measure(engine, references())
    assert sum(len(batch.token_ids) == 1 for batch in engine.batches) == len(TOKEN_IDS)
    mixed = [batch for batch in engine.batches if len(batch.token_ids) > 1]
    assert sum(len(batch.token_ids) for batch in mixed) == len(TOKEN_IDS)
    assert all(len(set(map(len, batch.token_ids))) > 1 for batch in mixed)


def test_an_engine_that_is_wrong_only_beside_longer_texts_is_noticed():
    assert measure(WrongWhenPadded(), references()).minimum_cosine < 0.99


def test_what_is_not_a_number_is_as_wrong_as_can_be():
    assert measure(Broken(), references()).minimum_cosine == -1


def test_a_sample_is_spread_over_all_lengths():
    sample = references().sample(3)
    assert sorted(map(len, sample.token_ids)) == [2, 8, 64]
    assert measure(FakeEngine(), references(), limit=3).texts == 3


def test_references_survive_the_disk(tmp_path):
    save_references(tmp_path, references())
    loaded = load_references(tmp_path)
    assert loaded.token_ids == TOKEN_IDS
    np.testing.assert_array_equal(loaded.vectors, references().vectors)


def test_opposite_vectors_have_a_cosine_of_minus_one():
    assert cosine(np.ones((1, 4), np.float32), -np.ones((1, 4), np.float32)) == pytest.approx([-1])


def manifest(minimum: float, precision: str = "bfloat16") -> EngineManifest:
    conformance = ConformanceResult(texts=80, minimum_cosine=minimum, mean_cosine=0.9995)
    return engine_manifest(conformance=conformance, precision=precision)


def test_an_engine_below_the_floor_is_refused_with_numbers_and_remedy():
    with pytest.raises(PermanentError, match=r"0\.998000 .*0\.999500.*80 texts.* floor 0\.999\. .*float32") as caught:
        hold_to_floor(manifest(0.998), 0.999)
    assert caught.value.reason == "ConformanceFailed"


def test_an_engine_at_the_floor_is_accepted():
    hold_to_floor(manifest(0.999), 0.999)


@pytest.mark.parametrize(("speed", "budget"), [(100, 512), (10_240, 512), (20_480, 1024), (30_000, 1280), (1e6, 2048)])
def test_the_budget_is_what_50_milliseconds_take_within_bounds(speed, budget):
    assert suitable_budget(speed) == budget


def test_speed_counts_tokens_a_second():
    now = iter(np.arange(0, 1000, 0.5))
    speed = measure_speed(FakeEngine(), window=64, clock=lambda: float(next(now)))
    assert speed.batch_tokens == 512
    assert speed.tokens_per_second == pytest.approx(512 * 3 / 2.0, rel=0.5)
