"""Wire types of Ollama's interface. Times are in nanoseconds."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from embedplane_server.schemas.tei import FILLED_TEXTS
from embedplane_server.schemas.whole import Whole


class OllamaEmbedRequest(BaseModel):
    """Body of `POST /api/embed`. `keep_alive` and `options` are ignored: a model stays loaded."""

    model_config = ConfigDict(strict=True, frozen=True)

    model: str
    input: str | list[str] = Field(json_schema_extra={"anyOf": [{"type": "string", "minLength": 1}, FILLED_TEXTS]})
    truncate: bool = True
    dimensions: Whole | None = None
    keep_alive: Any = None
    options: Any = None


class OllamaEmbedAnswer(BaseModel):
    """Answer to an `OllamaEmbedRequest`."""

    model: str
    embeddings: list[list[float]]
    total_duration: int
    load_duration: int
    prompt_eval_count: int


class OllamaVersion(BaseModel):
    """Answer of `/api/version`."""

    version: str


class OllamaDetails(BaseModel):
    """What `ollama list` shows of a model."""

    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


class OllamaModel(BaseModel):
    """One entry of `/api/tags`."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: OllamaDetails


class OllamaTags(BaseModel):
    """Answer of `/api/tags`."""

    models: list[OllamaModel]


class OllamaError(BaseModel):
    """Body of every answer of these routes that is not a success."""

    error: str
