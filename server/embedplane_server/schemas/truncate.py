"""What clients of all families write for `truncate`, as the options it stands for."""

from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from embedplane_server.tokenization import Side

FORMS = 'true, false, "NONE", "START" or "END"'


def _truncate(value: object) -> object:
    if value is None or isinstance(value, bool) or value in ("NONE", "START", "END"):
        return value
    raise ValueError(f"expected {FORMS}")


Truncate = Annotated[
    bool | str | None,
    BeforeValidator(_truncate),
    WithJsonSchema(
        {
            "anyOf": [{"type": "boolean"}, {"enum": ["NONE", "START", "END"]}, {"type": "null"}],
            "default": None,
            "title": "Truncate",
        }
    ),
]
"""Cut what is longer than the window; a text names what falls away. None: as the server is set."""


def cut(truncate: bool | str | None) -> tuple[bool | None, Side | None]:
    """Return whether to cut, and the end that falls away."""
    if isinstance(truncate, str):
        return truncate != "NONE", {"START": "left", "END": "right"}.get(truncate)  # type: ignore[return-value]  # keys checked above
    return truncate, None
