"""What the store says of models and where they came from. `fetch` writes it; the export, and some builds, read it."""

from pydantic import BaseModel, Field

from embedplane_server.errors import TransientReason
from embedplane_server.store import Intact, Lost, Store

SOURCES = "sources"
STAGING = "staging"
"""Downloads under way, in a file store."""


class ModelAbout(BaseModel):
    """What the entry of a model says about itself."""

    commit: str


class SourceDocument(BaseModel):
    """Which model of the store a commit of a source is."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    mentions: tuple[str, ...] = ()
    """The prompts that the README of this commit names; the README itself is not kept."""


def model_entry(digest: str) -> str:
    """Return the name of a model's entry in the store."""
    return f"models/{digest}"


def source_document(place: str, commit: str) -> str:
    """Return where the store says which model a commit is."""
    return f"{SOURCES}/{place}/{commit}.json"


async def need_model(store: Store, digest: str) -> Intact[ModelAbout]:
    """Return a model with its files; without it the step that fetches it has to run again."""
    lost = Lost(
        missing=TransientReason.MODEL_MISSING,
        words=f"the model {digest} is not in the store; it was removed. It is fetched again.",
        damaged=TransientReason.MODEL_CORRUPT,
        again="It is fetched again.",
    )
    return await store.need_intact(model_entry(digest), ModelAbout, lost)
