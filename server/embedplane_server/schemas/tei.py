"""Wire types of text-embeddings-inference's interface."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.config import JsonDict

from embedplane_server.schemas.openai import FilledInput, Input, input_of_any_form
from embedplane_server.schemas.whole import Whole, whole
from embedplane_server.tokenization import Side

ErrorType = Literal["Unhealthy", "Backend", "Overloaded", "Validation", "Tokenizer", "Empty"]
TokenId = Annotated[int, Field(ge=0, lt=2**32), BeforeValidator(whole)]

FILLED_TEXTS: JsonDict = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
"""What is empty is told apart from what is of a wrong type, so the types themselves take it."""


class TeiModel(BaseModel):
    """Fields that are not named are ignored, as TEI ignores them."""

    model_config = ConfigDict(strict=True, frozen=True)


class Cutting(TeiModel):
    """What to do with long texts, and the prompt."""

    truncate: bool | None = None
    """None: as the server is set."""
    truncation_direction: Literal["left", "right", "Left", "Right"] | None = None
    prompt_name: str | None = None

    @property
    def side(self) -> Side | None:
        return (
            None if self.truncation_direction is None else ("left" if self.truncation_direction[0] in "lL" else "right")
        )


class EmbedRequest(Cutting):
    """Body of `POST /embed`."""

    inputs: Annotated[Input, PlainValidator(input_of_any_form, json_schema_input_type=FilledInput)]
    normalize: bool | None = None
    """None: as the model does it, so that all routes give the same vectors."""
    dimensions: Whole | None = None
    input_type: str | None = None
    """Not TEI's: what the texts are for, as on `/v1/embeddings`."""


class SimilarityInput(TeiModel):
    """One text and what it is compared with."""

    source_sentence: str = Field(json_schema_extra={"minLength": 1})
    sentences: list[str] = Field(json_schema_extra=FILLED_TEXTS)


class SimilarityRequest(TeiModel):
    """Body of `POST /similarity`."""

    inputs: SimilarityInput
    parameters: Cutting | None = None


class TokenizeRequest(TeiModel):
    """Body of `POST /tokenize`."""

    inputs: str | Annotated[list[str], WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1})]
    add_special_tokens: bool = True
    prompt_name: str | None = None


class DecodeRequest(TeiModel):
    """Body of `POST /decode`."""

    ids: list[TokenId] | list[list[TokenId]] = Field(json_schema_extra={"minItems": 1})
    skip_special_tokens: bool = True


class SimpleToken(BaseModel):
    """One token; special ones stand nowhere in the text."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class TeiError(BaseModel):
    """Body of every answer of these routes that is not a success."""

    error: str
    error_type: ErrorType
