"""How scores are held to the reference's: their differences, and the order that they make."""

import numpy as np
import pytest

from embedplane_server.activation import activate
from embedplane_server.builders.conformance import References, load_references, measure, save_references, told
from embedplane_server.builders.score_agreement import differences, nearness, rank_correlation
from embedplane_server.builders.step import hold_to_floor
from embedplane_server.engines.base import TypedIds
from embedplane_server.errors import PermanentError
from embedplane_server.results import ConformanceResult
from tests.support.fake_engine import FakeEngine, vector_of

LOGITS = np.array([[-9.0, 2.0], [0.5, -0.5], [30.0, -700.0], [-0.1, 0.0]], dtype=np.float32)
TOKEN_IDS = tuple(TypedIds(range(1, length + 1), [0] * 2 + [1] * (length - 2)) for length in (3, 40, 5, 64, 8, 2, 17))


def references(labels: int = 1) -> References:
    return References(TOKEN_IDS, np.stack([vector_of(ids)[:labels] for ids in TOKEN_IDS]))


class Noisy(FakeEngine):
    def embed(self, batch):
        return super().embed(batch) + np.float32(0.2) * (np.arange(len(batch.token_ids)) % 2)[:, None]


class Broken(FakeEngine):
    def embed(self, batch):
        return np.full_like(super().embed(batch), np.nan)


def test_scores_are_the_usual_functions_and_never_overflow():
    wide = LOGITS.astype(np.float64)
    assert activate("sigmoid", LOGITS) == pytest.approx(1 / (1 + np.exp(-wide)), abs=1e-7)
    assert activate("softmax", LOGITS) == pytest.approx(np.exp(wide) / np.exp(wide).sum(axis=1, keepdims=True))
    assert activate("identity", LOGITS) is LOGITS
    assert activate("sigmoid", LOGITS).dtype == activate("softmax", LOGITS).dtype == np.float32


def test_scores_of_texts_that_do_not_fit_keep_their_order():
    logits = np.float32([[-80], [-30], [-20], [-18], [-11.001], [-11], [0], [11], [80]])
    scores = activate("sigmoid", logits)
    assert scores == pytest.approx(1 / (1 + np.exp(-logits.astype(np.float64))), rel=1e-5)
    assert (np.diff(scores[:-2, 0]) > 0).all()


def test_a_distance_counts_as_the_cosine_of_unit_vectors_that_far_apart():
    angle = 0.3
    one, other = np.array([1, 0]), np.array([np.cos(angle), np.sin(angle)])
    assert nearness(np.array([np.linalg.norm(one - other)])) == pytest.approx([np.cos(angle)])
    assert nearness(np.array([0.0, 1e6])).tolist() == [1, -1]


def test_scores_are_compared_and_not_logits():
    assert differences("sigmoid", np.float32([[20.0]]), np.float32([[30.0]])) == pytest.approx([0], abs=1e-6)
    assert differences("identity", np.float32([[0.0]]), np.float32([[1.0]])) == pytest.approx([0.2311], abs=1e-4)


def test_the_order_is_spearmans_of_the_worst_label():
    first = np.float32([[1, 1], [2, 2], [3, 3], [4, 4]])
    swapped = np.float32([[1, 2], [2, 1], [3, 3], [4, 4]])
    assert rank_correlation(first, first) == pytest.approx(1)
    assert rank_correlation(swapped, first) == pytest.approx(0.8)
    assert rank_correlation(-first, first) == pytest.approx(-1)
    assert rank_correlation(first, np.zeros_like(first)) == 1
    assert rank_correlation(np.zeros_like(first), first) == pytest.approx(0)


def test_a_right_engine_agrees_fully():
    found = measure(FakeEngine(1), references(), activation="sigmoid")
    assert (found.minimum_cosine, found.mean_cosine, found.rank_correlation) == pytest.approx((1, 1, 1))
    assert found.maximum_difference == pytest.approx(0, abs=1e-6)
    assert found.texts == len(TOKEN_IDS)


def test_an_engine_whose_scores_are_a_little_off_is_noticed():
    found = measure(Noisy(3), references(3), activation="softmax")
    shifted = measure(Noisy(1), references(), activation="sigmoid")
    assert found.maximum_difference == pytest.approx(0, abs=1e-6), "softmax does not mind what moves all logits"
    assert 0.03 < shifted.maximum_difference < 0.06
    assert shifted.minimum_cosine <= shifted.rank_correlation


def test_what_is_not_a_number_is_as_wrong_as_can_be():
    found = measure(Broken(1), references(), activation="sigmoid")
    assert (found.minimum_cosine, found.rank_correlation) == (-1, -1)


def test_types_of_tokens_survive_the_disk(tmp_path):
    save_references(tmp_path, references())
    loaded = load_references(tmp_path)
    assert loaded.token_ids == TOKEN_IDS
    assert [ids.type_ids for ids in loaded.token_ids] == [ids.type_ids for ids in TOKEN_IDS]


def test_an_engine_below_the_floor_is_refused_with_differences_and_order():
    conformance = ConformanceResult(
        texts=80, minimum_cosine=0.99, mean_cosine=0.999, maximum_difference=0.14, rank_correlation=0.995
    )
    with pytest.raises(PermanentError, match=r"scores differ by 0\.14.* by 0\.995.*80 texts.* floor 0\.999.*float32"):
        hold_to_floor("bfloat16", conformance, 0.999)
    assert "scores" in told(conformance)
