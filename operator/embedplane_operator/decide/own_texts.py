"""The user's own texts that engines are proven with besides the golden ones, and what is to be said of them. Pure."""

from embedplane_operator.api.conditions import Reason
from embedplane_operator.observation import Observation
from embedplane_operator.status import Finding, Outlook

LOOK_AGAIN_TEXTS = 30.0
"""ConfigMaps are not watched, so a model that names one looks at it from time to time."""


def has_own_texts(observed: Observation) -> bool:
    """True if the user wants texts of their own compared."""
    return observed.model.spec.engine.conformance.texts_from is not None


def missing_texts(observed: Observation) -> Finding | None:
    """Why no engine can be proven yet as the user wants it."""
    source, namespace = observed.model.spec.engine.conformance.texts_from, observed.model.metadata.namespace
    if source is None or observed.texts_digest is not None:
        return None
    words = (
        f"ConfigMap {source.config_map_ref.name} does not exist in namespace {namespace}: create it with a text a line "
        "in its values, or remove spec.engine.conformance.textsFrom; servers that run go on as they are"
    )
    return Finding("False", Reason.CONFIG_MAP_NOT_FOUND, words, Outlook.STALLED)
