"""The proof and the measurement of an engine, with engines that are right, wrong or slow."""

import json

import numpy as np
import pytest

from embedplane_server.builders.benchmark import measure_speed, suitable_budget
from embedplane_server.builders.conformance import References, load_references, measure, save_references
from embedplane_server.builders.passes import embed_in_every_way
from embedplane_server.builders.proof import read_proof
from embedplane_server.builders.step import hold_to_floor
from embedplane_server.builders.vector_agreement import cosine, neighbor_overlap, norm_difference
from embedplane_server.builders.verdict import faults
from embedplane_server.errors import PermanentError
from embedplane_server.results import ConformanceResult
from tests.support.fake_engine import FakeEngine, vector_of

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


class WrongInOneOrder(FakeEngine):
    """As an engine that mixes rows up: the first text of a batch of five is wrong."""

    def embed(self, batch):
        vectors = super().embed(batch)
        if len(batch.token_ids) == 5:
            vectors[0] = -vectors[0]
        return vectors


class Longer(FakeEngine):
    """As an engine without the model's normalisation: every direction is right, no length is."""

    def embed(self, batch):
        return super().embed(batch) * 1.5


class Broken(FakeEngine):
    def embed(self, batch):
        return np.full_like(super().embed(batch), np.nan)


def test_a_right_engine_has_a_cosine_of_one():
    found = measure(FakeEngine(), references())
    assert found.texts == len(TOKEN_IDS)
    assert found.minimum_cosine == pytest.approx(1)
    assert found.mean_cosine == pytest.approx(1)


def test_texts_are_embedded_alone_and_twice_beside_others():
    engine = FakeEngine()
    measure(engine, references())
    alone = [batch for batch in engine.batches if batch.alone]
    assert [batch.token_ids for batch in alone] == [[ids] for ids in TOKEN_IDS]
    together = [batch for batch in engine.batches if not batch.alone]
    assert sum(len(batch.token_ids) for batch in together) == 2 * len(TOKEN_IDS)
    assert all(len(set(map(len, batch.token_ids))) > 1 for batch in together)
    mates = [{tuple(sorted(batch.token_ids))} for batch in together]
    assert all(mates.count(each) == 1 for each in mates), "each batch is another one"


def test_very_long_texts_have_few_mates_and_are_embedded_twice():
    ids = [tuple(range(8192)), *((1, 2, 3 + row) for row in range(16))]
    engine = FakeEngine()
    embed_in_every_way(engine, ids)
    with_long = [batch for batch in engine.batches if batch.longest == 8192]
    assert [len(batch.token_ids) for batch in with_long] == [1, 2]


def test_an_engine_that_is_wrong_only_beside_longer_texts_is_noticed():
    assert measure(WrongWhenPadded(), references()).minimum_cosine < 0.99


def test_an_engine_that_mixes_rows_up_in_one_order_is_noticed():
    found = measure(WrongInOneOrder(), references())
    assert found.minimum_cosine == found.minimum_batch_cosine == pytest.approx(-1)
    assert len(faults(found, floor=-1.0)) == 1


def test_a_missing_normalisation_is_noticed_though_every_cosine_is_one():
    found = measure(Longer(), references())
    assert found.minimum_cosine == pytest.approx(1)
    assert found.maximum_norm_difference == pytest.approx(0.5)
    assert "as with another normalisation" in faults(found, 0.999)[0]


def test_what_is_not_a_number_is_as_wrong_as_can_be():
    found = measure(Broken(), references())
    assert (found.minimum_cosine, found.first_percentile_cosine, found.maximum_norm_difference) == (-1, -1, 1)


def test_the_worst_texts_are_named_and_own_ones_only_by_their_place(tmp_path):
    vectors = references().vectors.copy()
    vectors[3], vectors[8] = -vectors[3], -vectors[8]
    golden, own = tmp_path / "golden", tmp_path / "own"
    golden.mkdir()
    own.mkdir()
    save_references(golden, References(TOKEN_IDS[:5], vectors[:5]))
    save_references(own, References(TOKEN_IDS[5:], vectors[5:]))
    (golden / "golden-texts.json").write_text(json.dumps(["a", "b", "c", "x" * 100, ["one", "two"]]))
    (own / "text-names.json").write_text(json.dumps([f"queries.txt line {line}" for line in range(1, 6)]))
    proof = read_proof(golden, own)
    worst = proof.worst(measure(FakeEngine(), proof.references))
    assert proof.own_texts == 5
    assert f"'{'x' * 60}...' (64 tokens) -1.0000" in worst
    assert "queries.txt line 4 (4 tokens) -1.0000" in worst
    assert worst.count("tokens") == 3


def test_lengths_differ_by_a_part_of_the_references():
    ours, theirs = np.float32([[3, 4], [0, 2]]), np.float32([[6, 8], [0, 2]])
    assert norm_difference(ours, theirs) == pytest.approx(0.5)
    assert norm_difference(np.float32([[np.nan, 1]]), np.float32([[1, 1]])) == 1


def test_neighbours_are_lost_although_every_cosine_is_near_one():
    generator = np.random.default_rng(7)
    small = generator.normal(size=(50, 16)).astype(np.float32) * 0.01
    other = generator.normal(size=(50, 16)).astype(np.float32) * 0.01
    ids = [(row,) for row in range(50)]
    theirs, ours = small + 1, other + 1
    assert cosine(ours, theirs).min() > 0.999
    assert neighbor_overlap(theirs, theirs, ids) == 1
    assert neighbor_overlap(ours, theirs, ids) < 0.5


def test_texts_of_the_same_tokens_count_once_as_neighbours():
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    assert neighbor_overlap(vectors, vectors, [(1,), (1,), (2,), (3,)]) == 1
    assert neighbor_overlap(vectors[:1], vectors[:1], [(1,)]) == 1


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


def proven(minimum: float) -> ConformanceResult:
    return ConformanceResult(texts=80, minimum_cosine=minimum, mean_cosine=0.9995)


def test_an_engine_below_the_floor_is_refused_with_numbers_and_remedy():
    with pytest.raises(PermanentError, match=r"0\.998000 .*0\.999500.*80 texts.* floor 0\.999\. .*float32") as caught:
        hold_to_floor("bfloat16", proven(0.998), 0.999)
    assert caught.value.reason == "ConformanceFailed"


def test_an_engine_at_the_floor_is_accepted_and_one_of_an_older_version_too():
    hold_to_floor("bfloat16", proven(0.999), 0.999)


def test_an_engine_of_another_model_is_refused_whatever_the_floor():
    conformance = ConformanceResult(
        texts=300, minimum_cosine=0.9, mean_cosine=0.95, maximum_norm_difference=0.2, neighbor_overlap=0.3
    )
    with pytest.raises(PermanentError, match=r"up to 20\.0%.*; its .*30\.0% of their nearest.*Worst: 'a' 0\.9\.$"):
        hold_to_floor("bfloat16", conformance, 0.5, worst="'a' 0.9")


@pytest.mark.parametrize(("speed", "budget"), [(100, 512), (10_240, 512), (20_480, 1024), (30_000, 1280), (1e6, 2048)])
def test_the_budget_is_what_50_milliseconds_take_within_bounds(speed, budget):
    assert suitable_budget(speed) == budget


def test_speed_counts_tokens_a_second():
    now = iter(np.arange(0, 1000, 0.5))
    speed = measure_speed(FakeEngine(), window=64, clock=lambda: float(next(now)))
    assert speed.batch_tokens == 512
    assert speed.tokens_per_second == pytest.approx(512 * 3 / 2.0, rel=0.5)
