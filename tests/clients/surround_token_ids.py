"""What the OpenAPI document cannot say, for Schemathesis: which lists of token ids are a text of the served model.

They stand between special tokens. Where a header may say that they are of cl100k_base, the document has no largest id.
"""

import schemathesis

FIRST, LAST, VOCABULARY = 101, 102, 30_522


@schemathesis.hook
def before_call(context, case, kwargs):
    """Make every list of numbers one of the fake server's tokenizer; what is wrong otherwise stays wrong."""
    if isinstance(case.body, dict):
        if "input" in case.body:
            case.body["input"] = _surrounded(_within_vocabulary(case.body["input"]))
        if "inputs" in case.body:
            case.body["inputs"] = _surrounded(case.body["inputs"])


def _within_vocabulary(value):
    if isinstance(value, list):
        return [_within_vocabulary(item) for item in value]
    return value % VOCABULARY if _is_number(value) and value >= VOCABULARY else value


def _surrounded(value):
    if not isinstance(value, list) or not value:
        return value
    if all(isinstance(item, list) for item in value):
        return [_surrounded(item) for item in value]
    return [FIRST, *value, LAST] if all(map(_is_number, value)) else value


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)
