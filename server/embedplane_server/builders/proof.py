"""What an engine is compared with: an export's golden texts, then the user's own, and what to call each in an error.

Golden texts are quoted; of a user's text no more is told than where it stands.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from embedplane_server.builders.conformance import Conformance, References, load_references
from embedplane_server.export.manifest import GOLDEN_TEXTS, TEXT_NAMES

_QUOTED_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Proof:
    """References of all texts with a name for each of them."""

    references: References
    names: tuple[str, ...]
    own_texts: int | None = None
    """How many of them, the last, are the user's own; None: there are none."""

    def worst(self, found: Conformance) -> str:
        """Return the names of the texts that are farthest off, for people."""
        lengths = [len(ids) for ids in self.references.token_ids]
        return ", ".join(f"{self.names[row]} ({lengths[row]} tokens) {value:.4f}" for row, value in found.worst)


def read_proof(export: Path, own: Path | None) -> Proof:
    """Read what is compared from the folder of an export, and from that of the references of own texts."""
    golden, texts = load_references(export), json.loads((export / GOLDEN_TEXTS).read_text(encoding="utf-8"))
    names = tuple(_quoted(text) for text in texts)
    if own is None:
        return Proof(golden, names)
    added, own_names = load_references(own), json.loads((own / TEXT_NAMES).read_text(encoding="utf-8"))
    return Proof(golden.followed_by(added), (*names, *own_names), len(own_names))


def _quoted(text: str | list[str]) -> str:
    whole = text if isinstance(text, str) else " | ".join(text)
    return repr(whole if len(whole) <= _QUOTED_CHARACTERS else whole[:_QUOTED_CHARACTERS] + "...")
