"""The texts that users add to the golden ones: each line of each value of their ConfigMap, mounted as a folder.

They are private: no log, message or store has them; a text is called by its key and line. No torch here.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from embedplane_server.errors import TransientError, TransientReason, invalid_settings
from embedplane_server.model.space import sha256_of
from embedplane_server.tokenization import Text

LIMIT = 1000
_FIELD = "engine.conformance.textsFrom"


@dataclass(frozen=True, slots=True)
class OwnText:
    """A user's text, and where it stands."""

    key: str
    line: int
    """Counted from 1."""
    text: str

    @property
    def name(self) -> str:
        return f"{self.key} line {self.line}"

    def for_pairs(self) -> Text:
        """Return the text for a model that reads two at once: a tab parts them."""
        first, tab, second = self.text.partition("\t")
        return (first, second) if tab else self.text


def read_own_texts(folder: Path, digest: str) -> list[OwnText]:
    """Return the texts of a mounted ConfigMap, if its content is the one that is meant."""
    contents = _contents(folder)
    if digest_of_texts(contents) != digest:
        raise TransientError(
            TransientReason.TEXTS_CHANGED,
            f"the ConfigMap of {_FIELD} was changed since this Job was made. Its present content is checked next.",
        )
    texts = [text for key, content in sorted(contents.items()) for text in _lines(key, content)]
    if not 1 <= len(texts) <= LIMIT:
        raise invalid_settings(
            f"the ConfigMap of {_FIELD} has {len(texts)} texts. Give it 1 to {LIMIT}, each in a line that is not empty."
        )
    return texts


def digest_of_texts(contents: dict[str, bytes]) -> str:
    """Return the digest of a ConfigMap's content, as docs/contract.md has it."""
    return sha256_of({key: hashlib.sha256(content).hexdigest() for key, content in contents.items()})


def _contents(folder: Path) -> dict[str, bytes]:
    # The kubelet keeps what it mounts in folders whose names start with two dots, and links to it.
    try:
        paths = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith("..")]
        return {path.name: path.read_bytes() for path in paths}
    except OSError as error:
        raise invalid_settings(f"the texts of {_FIELD} cannot be read from {folder}: {error}.") from error


def _lines(key: str, content: bytes) -> list[OwnText]:
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise invalid_settings(
            f"{key} in the ConfigMap of {_FIELD} is not UTF-8 text. Correct or remove it."
        ) from error
    return [OwnText(key, number, line.rstrip("\r")) for number, line in enumerate(lines, 1) if line.strip()]
