"""Wire types of text-embeddings-inference's interface."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.config import JsonDict

from embedplane_server.schemas.openai import FilledInput, Input, input_of_any_form
from embedplane_server.schemas.whole import Whole, whole
from embedplane_server.tokenization import Side

ErrorType = Literal["Unhealthy", "Backend", "Overloaded", "Validation", "Tokenizer", "Empty"]
TokenId = Annotated[int, Field(ge=0, lt=2**32), BeforeValidator(whole)]

FILLED_TEXTS: JsonDict = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
"""What is empty is told apart from what is of a wrong type, so the types themselves take it."""
FILLED: Any = Field(json_schema_extra={"minItems": 1})
PAIR: JsonDict = {**FILLED_TEXTS, "maxItems": 2}
PREDICT_INPUTS: JsonDict = {
    "anyOf": [{"type": "string", "minLength": 1}, PAIR, {"type": "array", "items": PAIR, "minItems": 1}]
}


class TeiModel(BaseModel):
    """Fields that are not named are ignored, as TEI ignores them."""

    model_config = ConfigDict(strict=True, frozen=True)


class Truncating(TeiModel):
    """What to do with long texts."""

    truncate: bool | None = None
    """None: as the server is set."""
    truncation_direction: Literal["left", "right", "Left", "Right"] | None = None

    @property
    def side(self) -> Side | None:
        return (
            None if self.truncation_direction is None else ("left" if self.truncation_direction[0] in "lL" else "right")
        )


class Cutting(Truncating):
    """What to do with long texts, and the prompt."""

    prompt_name: str | None = None


class EmbedRequest(Cutting):
    """Body of `POST /embed`."""

    inputs: Annotated[Input, PlainValidator(input_of_any_form, json_schema_input_type=FilledInput)]
    normalize: bool | None = None
    """None: as the model does it, so that all routes give the same vectors."""
    dimensions: Whole | None = None
    input_type: str | None = None
    """Not TEI's: what the texts are for, as on `/v1/embeddings`."""


class EmbedAllRequest(Cutting):
    """Body of `POST /embed_all`."""

    inputs: Annotated[Input, PlainValidator(input_of_any_form, json_schema_input_type=FilledInput)]
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


PredictInputs = str | list[str] | list[list[str]]


def predict_inputs(value: object) -> object:
    """Validate `PredictInputs`: a list of texts is one input, of one text or of two that belong together."""
    if isinstance(value, str) or _is_input(value):
        return value
    if isinstance(value, list) and all(map(_is_input, value)):
        return value
    raise ValueError("expected a string, a list of one or two strings, or a list of such lists")


def _is_input(value: object) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= 2 and all(isinstance(text, str) for text in value)


class PredictRequest(Truncating):
    """Body of `POST /predict`."""

    inputs: Annotated[PredictInputs, PlainValidator(predict_inputs), WithJsonSchema(PREDICT_INPUTS)]
    raw_scores: bool = False
    """The model's logits."""


class Prediction(BaseModel):
    """One label of an input; the answer has all labels of each input, the highest score first."""

    score: float
    label: str


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
