"""Wire types of Cohere's interface."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from embedplane_server.schemas.tei import FILLED_TEXTS
from embedplane_server.schemas.whole import Whole

EmbeddingType = Literal["float", "base64", "binary", "ubinary", "int8", "uint8"]
Refused = Annotated[Any, WithJsonSchema({"type": "null"})]
"""A field of Cohere's that means something else than leaving it out would, and is not offered."""


class CohereEmbedRequest(BaseModel):
    """Body of `POST /v2/embed`. Fields that are not named are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)

    texts: list[str] = Field(json_schema_extra=FILLED_TEXTS)
    model: str | None = None
    input_type: str | None = None
    """None: the model's default prompt."""
    embedding_types: list[EmbeddingType] = Field(
        default=["float"],
        min_length=1,
        json_schema_extra={"items": {"enum": ["float", "base64", "binary", "ubinary"], "type": "string"}},
    )
    truncate: Literal["NONE", "START", "END"] = "END"
    output_dimension: Whole | None = None
    images: Refused = None
    inputs: Refused = None
    max_tokens: Refused = None


class ByType(BaseModel):
    """Vectors in each form that was asked for, in the order of the texts."""

    model_config = ConfigDict(populate_by_name=True)

    floats: list[list[float]] | None = Field(default=None, alias="float")
    base64: list[str] | None = None
    binary: list[list[int]] | None = None
    ubinary: list[list[int]] | None = None


class ApiVersion(BaseModel):
    """The version of the interface."""

    version: str = "2"


class BilledUnits(BaseModel):
    """Real tokens."""

    input_tokens: int


class Meta(BaseModel):
    """What the request took."""

    api_version: ApiVersion
    billed_units: BilledUnits


class CohereEmbedAnswer(BaseModel):
    """Answer to a `CohereEmbedRequest`."""

    id: str
    embeddings: ByType
    texts: list[str]
    meta: Meta
    response_type: Literal["embeddings_by_type"] = "embeddings_by_type"


class CohereError(BaseModel):
    """Body of every answer of these routes that is not a success."""

    message: str
