"""spec.engine.conformance: the proof that an engine gives the reference's vectors."""

from pydantic import Field

from embedplane_operator.api.base import ApiModel, ObjectName


class ConfigMapReference(ApiModel):
    """A ConfigMap in the same namespace."""

    name: ObjectName
    """Name of the ConfigMap."""


class TextsSource(ApiModel):
    """Where texts come from."""

    config_map_ref: ConfigMapReference
    """ConfigMap whose values hold texts: each line that is not empty is one. At most 1000 texts of at most 8192
    tokens."""


class Conformance(ApiModel):
    """The proof that an engine gives the reference's vectors."""

    minimum_cosine: float = Field(0.999, gt=0, le=1)
    """Lowest cosine similarity to sentence-transformers in float32 over the golden texts; an engine below it is never
    published. Above 0, at most 1. Default: 0.999."""
    texts_from: TextsSource | None = None
    """Texts of your own that are compared as well. When they change, an engine is proven with them before it replaces
    the one that serves. Default: the golden texts only."""
