"""What the model's files leave unsaid, as the fetch found it: a warning that names the field to set. Pure."""

from collections.abc import Mapping

from embedplane_operator.api.conditions import UnsaidReason
from embedplane_operator.api.status import VectorSpaceStatus
from embedplane_operator.status import Finding

_POOLING, _WINDOW = "spec.embedding.pooling", "spec.embedding.maxSequenceLength"

_WORDS: Mapping[str, tuple[str, str | None]] = {
    UnsaidReason.POOLING_UNSAID: ("the model's files name no pooling, so mean is taken", _POOLING),
    UnsaidReason.SEVERAL_POOLINGS: ("the model's files name several poolings, so vectors are all of them", _POOLING),
    UnsaidReason.POOLING_CONTRADICTED: ("the model's files name two different poolings", _POOLING),
    UnsaidReason.PROMPTS_UNSAID: (
        "the model's README puts prompts before texts that its configuration does not have, so none are",
        "spec.embedding.prompts",
    ),
    UnsaidReason.WINDOW_UNSAID: ("the model's files do not say how long a text may be, only its positions", _WINDOW),
    UnsaidReason.WINDOW_CONTRADICTED: ("the model's files differ about how long a text may be", _WINDOW),
    UnsaidReason.LOWER_CASE_CONTRADICTED: ("the tokenizer's files differ about lower-casing", None),
    UnsaidReason.SIMILARITY_UNKNOWN: ("the model names a similarity function that nobody knows", None),
}


def incomplete_description(space: VectorSpaceStatus) -> Finding | None:
    """What was filled in, if anything: the first gives the reason."""
    if not space.unsaid:
        return None
    return Finding("True", space.unsaid[0], "; ".join(map(_told, space.unsaid)))


def _told(name: str) -> str:
    words, field = _WORDS.get(name, (f"{name}: see the log of the fetch Job", None))
    taken = f" (status.vectorSpace has what is taken): set {field} to what is right, which also ends this warning"
    return words + taken if field else words
