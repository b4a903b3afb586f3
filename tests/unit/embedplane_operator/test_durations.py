"""Spans of time as people write them."""

from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from embedplane_operator.api.durations import Duration, span_of


@pytest.mark.parametrize(
    ("written", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(hours=24)),
        ("1h30m", timedelta(minutes=90)),
        ("1h5s", timedelta(seconds=3605)),
        ("2h3m4s", timedelta(seconds=7384)),
        ("0s", timedelta(0)),
    ],
)
def test_a_duration_is_as_long_as_it_says(written: str, span: timedelta) -> None:
    assert span_of(TypeAdapter(Duration).validate_python(written)) == span


@pytest.mark.parametrize("written", ["", "24", "1d", "1.5h", "5s1h", "-1h", "1h ", "one hour"])
def test_what_is_none_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(written)
