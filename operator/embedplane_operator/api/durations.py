"""Spans of time as people write them in Kubernetes: 90s, 30m, 24h, 1h30m."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from embedplane_operator.api.base import Schema, rule

PATTERN = r"^([0-9]{1,5}h([0-9]{1,5}m)?([0-9]{1,7}s)?|[0-9]{1,5}m([0-9]{1,7}s)?|[0-9]{1,7}s)$"
Duration = Annotated[str, Field(max_length=20, pattern=PATTERN)]

_UNITS = {"h": "hours", "m": "minutes", "s": "seconds"}


def duration_rule(field: str) -> Schema:
    """Return the rule that refuses what is no duration."""
    words = f"{field} is a duration such as 90s, 30m, 24h or 1h30m"
    return rule(f"self.{field}.matches('{PATTERN}')", words, field=field)


def span_of(duration: str) -> timedelta:
    """Return how long a Duration is."""
    return timedelta(**{_UNITS[unit]: int(count) for count, unit in re.findall(r"([0-9]+)([hms])", duration)})
