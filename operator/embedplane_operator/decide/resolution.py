"""What is pinned already: from status, or read back from the Deployment when the status is lost. Pure.

A part counts while the hash of the wishes it was made from is unchanged; so a floating revision is resolved once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from embedplane_operator.api.conditions import JobReason
from embedplane_operator.api.status import EngineStatus, SetAside, SourceStatus, VectorSpaceStatus
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.decide.decision import Pinned
from embedplane_operator.decide.spaces import Live, Spaces
from embedplane_operator.render.accelerator import engine_target
from embedplane_operator.render.inputs import engine_inputs, fetch_inputs, source_inputs
from embedplane_operator.render.tensorrt_llm import Exactness
from embedplane_operator.settings import Settings
from embedplane_operator.status import Finding, Outlook

Part = TypeVar("Part", SourceStatus, VectorSpaceStatus, EngineStatus)


def pinned_before(model: EmbeddingModel, live: Live | None) -> Pinned:
    """What was pinned when the model was last looked at, for whatever wishes."""
    if live:
        return Pinned(live.resolved.source, live.resolved.vector_space, live.resolved.engine)
    return Pinned(model.status.source, model.status.vector_space, model.status.engine)


def pinned_source(model: EmbeddingModel, spaces: Spaces) -> SourceStatus | None:
    """The source as it was pinned for these very wishes."""
    candidate, wanted = model.status.candidate, source_inputs(model)
    known = (
        *(live.resolved.source for live in spaces.newest_first),
        model.status.source,
        candidate and candidate.source,
    )
    return next((each for each in known if each and each.inputs == wanted), None)


def pinned_space(model: EmbeddingModel, spaces: Spaces) -> VectorSpaceStatus | None:
    """The vector space as it was found for these very wishes."""
    candidate, wanted = model.status.candidate, fetch_inputs(model)
    known = (
        *(live.resolved.vector_space for live in spaces.newest_first),
        model.status.vector_space,
        candidate and candidate.vector_space,
    )
    return next((each for each in known if each and each.inputs == wanted), None)


def known_engine(
    model: EmbeddingModel, settings: Settings, space_id: str, spaces: Spaces, texts: str | None = None
) -> EngineStatus | None:
    """The engine as it was built for these very wishes, and proven with these texts of the user's own."""
    known = (*(live.resolved.engine for live in spaces.newest_first), model.status.engine)
    wanted = engine_inputs(model, settings, space_id, texts)
    return next((each for each in known if each and each.inputs == wanted), None)


class UnreadableAnswerError(ValueError):
    """A Job's result lacks what docs/contract.md promises."""


def read_source(result: Mapping[str, Any], inputs: str) -> SourceStatus:
    """The pinned source from a fetch Job's result."""
    return _read(SourceStatus, {**result, "inputs": inputs})


def read_space(result: Mapping[str, Any], inputs: str) -> VectorSpaceStatus:
    """The vector space from a fetch Job's result."""
    return _read(VectorSpaceStatus, {**_part(result, "vectorSpace"), "inputs": inputs})


def read_engine(
    model: EmbeddingModel,
    settings: Settings,
    space_id: str,
    result: Mapping[str, Any],
    texts: str | None = None,
    exactness: Exactness | None = None,
) -> EngineStatus:
    """The engine from a build Job's result, or from what a fetch Job found in the store."""
    wishes: dict[str, Any] = {
        "inputs": engine_inputs(model, settings, space_id, texts),
        "reason": engine_target(model, settings, texts, exactness).reason,
    }
    if model.spec.engine.max_batch_tokens is not None:
        wishes["maxBatchTokens"] = model.spec.engine.max_batch_tokens  # what counts; the store knows the measured one
    return _read(EngineStatus, {**result, **wishes})


def read_export_keys(result: Mapping[str, Any]) -> Mapping[str, str]:
    """The exports that a fetch Job found in the store, by format."""
    return {str(name): str(key) for name, key in _part(result, "exportKeys").items()}


def read_set_aside(result: Mapping[str, Any] | None) -> Sequence[SetAside]:
    """The damaged entries that a Job put out of the way; what cannot be read of them is left out."""
    met = [each for each in (result or {}).get("setAside") or () if isinstance(each, dict)]
    return [SetAside(entry=str(each.get("entry")), place=str(each.get("place"))) for each in met]


def set_aside_words(met: Sequence[SetAside]) -> str:
    """What is said about damaged entries behind the words of a condition; nothing when there were none."""
    return "".join(f"; {each.entry} was damaged and is set aside in {each.place}" for each in met)


def _part(result: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = result.get(name) or {}
    if not isinstance(part, dict):
        raise UnreadableAnswerError(f"{name} is not an object")
    return part


def _read(kind: type[Part], document: Mapping[str, Any]) -> Part:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnreadableAnswerError(f"{where}: {first['msg']}") from error


def below_the_floor(model: EmbeddingModel, engine: EngineStatus) -> Finding | None:
    """Why an engine that was proven against a lower floor may not serve this spec."""
    floor, proven = model.spec.engine.conformance.minimum_cosine, engine.conformance.minimum_cosine
    if proven >= floor:
        return None
    words = (
        f"the engine's lowest cosine is {proven:.6g}, below spec.engine.conformance.minimumCosine {floor:.6g}: "
        "lower the floor, or ask for a higher spec.engine.precision"
    )
    return Finding("False", JobReason.CONFORMANCE_FAILED, words, Outlook.STALLED)
