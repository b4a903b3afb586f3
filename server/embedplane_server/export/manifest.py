"""What an export is called and what it says about itself. No torch here: `fetch` and `build` read exports too."""

from pydantic import BaseModel, ConfigDict

from embedplane_server.errors import TransientReason
from embedplane_server.model import ModelDescription
from embedplane_server.model.space import sha256_of
from embedplane_server.settings import ExportFormat
from embedplane_server.store import Entry, Intact, Lost, Store

# Raised when exports of older versions must not be used any more: another graph signature. Other golden texts are no
# reason, see `golden.py`.
FORMAT_VERSION = 1

TOKENIZER = "tokenizer.json"
REFERENCES = "references.npz"
GOLDEN_TEXTS = "golden-texts.json"
TEXT_NAMES = "text-names.json"
"""Of a user's texts no more is stored than where each stands in the ConfigMap."""
OPENVINO_GRAPH = "model.xml"
ONNX_GRAPH = "model.onnx"


class ExportManifest(BaseModel):
    """An export: a portable graph and fp32 reference vectors of one vector space."""

    model_config = ConfigDict(frozen=True)

    key: str
    format: ExportFormat
    vector_space: str
    description: ModelDescription
    model_digest: str
    commit: str
    texts: int
    versions: dict[str, str]
    """Versions of the libraries that made it."""


def export_key(vector_space: str, format: ExportFormat) -> str:  # noqa: A002 -- the word of docs/contract.md
    """Return the key of an export: the same space and format is the same export."""
    return "ex1-" + sha256_of({"vectorSpace": vector_space, "format": format, "version": FORMAT_VERSION})[:20]


class OwnReferencesManifest(BaseModel):
    """fp32 reference vectors of a user's own texts in one vector space: an entry beside the exports."""

    model_config = ConfigDict(frozen=True)

    key: str
    vector_space: str
    texts: int


def own_references_key(vector_space: str, texts: str) -> str:
    """Return the key of the references of a user's texts, which their digest names; every format has the same."""
    return "rf1-" + sha256_of({"vectorSpace": vector_space, "texts": texts})[:20]


def export_entry(key: str) -> str:
    """Return the name of an entry of an export, or of references, in the store."""
    return f"exports/{key}"


async def find_export(store: Store, key: str) -> tuple[ExportManifest, Entry] | None:
    """Return an export of the store, None when it does not exist."""
    return await store.find_about(export_entry(key), ExportManifest)


async def need_export(store: Store, key: str) -> Intact[ExportManifest]:
    """Return an export with its files; without it the step that makes it has to run again."""
    lost = _lost(f"the export {key} is not in the store; it was removed. It is made again.")
    return await store.need_intact(export_entry(key), ExportManifest, lost)


async def need_own_references(store: Store, vector_space: str, texts: str) -> Intact[OwnReferencesManifest]:
    """Return the references of a user's texts; without them the export has to run again."""
    key = own_references_key(vector_space, texts)
    lost = _lost(
        f"the references {key} of your own texts are not in the store; they were removed. They are made again."
    )
    return await store.need_intact(export_entry(key), OwnReferencesManifest, lost)


def _lost(missing: str) -> Lost:
    """Return what becomes of an entry of an export, with the words for one that is missing."""
    return Lost(
        missing=TransientReason.EXPORT_MISSING,
        words=missing,
        damaged=TransientReason.EXPORT_CORRUPT,
        again="It is made again.",
    )
