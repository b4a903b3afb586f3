"""Wire types of ranking: text-embeddings-inference's `/rerank`, and Cohere's, which others have taken over."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

from embedplane_server.schemas.cohere import ApiVersion
from embedplane_server.schemas.tei import FILLED, Truncating
from embedplane_server.schemas.whole import whole


class Document(BaseModel):
    """A text as an object; other fields than its text are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)

    text: str


Documents = Annotated[list[str | Document], FILLED]
Count = Annotated[int, Field(ge=1), BeforeValidator(whole)]

EITHER: JsonDict = {
    "anyOf": [
        {"required": ["texts"], "properties": {"texts": {"type": "array"}}},
        {"required": ["documents"], "properties": {"documents": {"type": "array"}}},
    ]
}


class CohereRanking(BaseModel):
    """What Cohere's clients send besides the documents. Fields that are not named are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)

    query: str = Field(json_schema_extra={"minLength": 1})
    model: str | None = None
    top_n: Count | None = None
    """None: all."""
    return_documents: bool = False
    max_tokens_per_doc: Count | None = None
    """So much of each document counts; what is too long for the model beside the query is cut in any case."""


class CohereRerankRequest(CohereRanking):
    """Body of `POST /v1/rerank` and `/v2/rerank`."""

    documents: Documents


class RerankRequest(CohereRanking, Truncating):
    """Body of `POST /rerank`: `texts` are answered as text-embeddings-inference does, `documents` as Cohere does."""

    model_config = ConfigDict(strict=True, frozen=True, json_schema_extra=EITHER)

    texts: Annotated[list[str] | None, FILLED] = None
    documents: Annotated[list[str | Document] | None, FILLED] = None
    raw_scores: bool = False
    """The model's logits."""
    return_text: bool = False


class RankedText(BaseModel):
    """One text in text-embeddings-inference's answer, which is a list of them, the best first."""

    index: int
    text: str | None = None
    score: float


class RankedDocument(BaseModel):
    """One document in Cohere's answer."""

    index: int
    relevance_score: float
    document: Document | None = None


class SearchUnits(BaseModel):
    """What Cohere bills; here for clients that read it."""

    search_units: int = 1


class RerankMeta(BaseModel):
    """What the request took."""

    api_version: ApiVersion
    billed_units: SearchUnits


class RerankUsage(BaseModel):
    """Real tokens, the query's once with each document."""

    prompt_tokens: int
    total_tokens: int


class CohereRerankAnswer(BaseModel):
    """Answer to a `CohereRerankRequest`, the best first."""

    id: str
    model: str
    results: list[RankedDocument]
    meta: RerankMeta
    usage: RerankUsage
