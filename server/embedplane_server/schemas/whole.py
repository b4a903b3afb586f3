"""Whole numbers as JSON Schema has them: 8.0 is one, and some languages write it so."""

from typing import Annotated

from pydantic import BeforeValidator


def whole(value: object) -> object:
    """Return the integer that a number without a fraction stands for; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(whole)]
