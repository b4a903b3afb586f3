"""How long the served vectors are: what `spec.embedding.dimensions` makes of a model's own vector space. Pure.

Servers cut what engines compute, so no Job depends on it; another default is another vector space all the same.
"""

from embedplane_operator.api.conditions import Reason
from embedplane_operator.api.embedding import Dimensions
from embedplane_operator.api.status import VectorSpaceStatus
from embedplane_operator.status import Finding, Outlook


def with_dimensions(space: VectorSpaceStatus, wanted: Dimensions) -> VectorSpaceStatus:
    """The space as it is to be served, whatever lengths it was served with before."""
    native = _native(space)
    length = wanted.default or native
    is_shorter = length != native
    lengths = {
        "id": f"{space.base_id};dimensions={length}" if is_shorter else space.base_id,
        "dimensions": length,
        "native_dimensions": native if is_shorter else None,
        "allowed_dimensions": tuple(sorted(wanted.allowed)),
    }
    return space.model_copy(update=lengths)


def unavailable_dimensions(space: VectorSpaceStatus, wanted: Dimensions) -> Finding | None:
    """Why the model cannot give vectors of these lengths; known only once its files were read."""
    native = _native(space)
    if space.task == "classification" and (wanted.default or wanted.allowed):
        words = (
            "spec.embedding.dimensions is set, but the model is a reranker or classifier and has no vectors: remove it"
        )
        return Finding("False", Reason.DIMENSIONS_UNAVAILABLE, words, Outlook.STALLED)
    for field, lengths in (("default", (wanted.default or 0,)), ("allowed", wanted.allowed)):
        if (longest := max(lengths, default=0)) > native:
            words = (
                f"spec.embedding.dimensions.{field} asks for {longest}, but the model's vectors have {native} "
                f"dimensions: write {native} or less"
            )
            return Finding("False", Reason.DIMENSIONS_UNAVAILABLE, words, Outlook.STALLED)
    return None


def _native(space: VectorSpaceStatus) -> int:
    return space.native_dimensions or space.dimensions
