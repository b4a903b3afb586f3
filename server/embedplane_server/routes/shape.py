"""How many values a JSON body holds, found out before they are made: 16 MiB of `[1],[1]` held up all else for seconds.

Ordinary bodies are only counted through; the structure of one is looked at when its commas and brackets are many.
"""

import re

from embedplane_server.options import RequestLimits
from embedplane_server.routes.errors import BodyTooLarge

LEAST_VALUES = 100_000
LEAST_LISTS = 10_000
"""So many are always looked at one by one, so that a request with too many inputs is told so in its own words."""

# A string that does not end is one too: the parser refuses it.
STRING_OR_MARK = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[,\[{]', re.DOTALL)


def check_shape(body: bytes, limits: RequestLimits) -> None:
    """Refuse a body with more lists or values than any request needs."""
    most_values = max(limits.max_tokens + limits.max_inputs, LEAST_VALUES)
    most_lists = max(limits.max_inputs, LEAST_LISTS)
    if body.count(b",") <= most_values and body.count(b"[") + body.count(b"{") <= most_lists:
        return
    values = lists = 0
    for mark in STRING_OR_MARK.finditer(body):
        first = body[mark.start()]
        values += first == ord(",")
        lists += first in b"[{"
        if values > most_values or lists > most_lists:
            raise BodyTooLarge(
                f"The request body holds more than {most_values} values or {most_lists} lists. "
                "Send fewer inputs in one request."
            )
