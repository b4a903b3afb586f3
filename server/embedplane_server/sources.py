"""What the store says of models and where they came from. `fetch` writes it, the export reads it too."""

from pydantic import BaseModel, Field

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
