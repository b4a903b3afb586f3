"""The vector space id in both directions: whatever moves no vector keeps it, whatever moves vectors changes it.

Models are folders with every kind of module; each change is one that a person or a program makes to such a folder.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.unit.embedplane_server.changed_models import Change, changed, model, space
from tests.unit.embedplane_server.inert_changes import INERT
from tests.unit.embedplane_server.live_changes import LIVE, prompt_tokens_left_out

ORIGINAL = "vs1-31a224ba6c412f076623"

quick = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_the_id_of_this_model_never_changes() -> None:
    assert space(model()) == ORIGINAL


@pytest.mark.parametrize("change", INERT, ids=lambda change: change.__name__)
@quick
@given(data=some.data())
def test_what_moves_no_vector_keeps_the_id(change: Change, data: some.DataObject) -> None:
    assert space(changed(model(), data, change)) == ORIGINAL


@quick
@given(data=some.data(), changes=some.lists(some.sampled_from(INERT), unique=True), indent=some.sampled_from([None, 2]))
def test_nor_does_any_number_of_such_changes(data: some.DataObject, changes: list[Change], indent: int | None) -> None:
    assert space(changed(model(), data, *changes), indent=indent) == ORIGINAL


@pytest.mark.parametrize("change", LIVE, ids=lambda change: change.__name__)
@quick
@given(data=some.data(), others=some.lists(some.sampled_from(INERT), unique=True, max_size=3))
def test_what_moves_vectors_changes_the_id(change: Change, data: some.DataObject, others: list[Change]) -> None:
    assert space(changed(model(), data, *others, change)) != ORIGINAL


@quick
@given(data=some.data())
def test_leaving_prompts_out_of_the_pooling_means_nothing_where_there_are_none(data: some.DataObject) -> None:
    with_none = model()
    with_none["config_sentence_transformers.json"]["prompts"] = {}
    assert space(changed(with_none, data, prompt_tokens_left_out)) == space(with_none)


@pytest.mark.parametrize("change", LIVE, ids=lambda change: change.__name__)
@quick
@given(data=some.data())
def test_two_such_changes_have_an_id_each(change: Change, data: some.DataObject) -> None:
    other = data.draw(some.sampled_from([each for each in LIVE if each is not change]))
    one, another = changed(model(), data, change), changed(model(), data, other)
    assert one == another or space(one) != space(another)
