"""Token ids of OpenAI's cl100k_base back to text, for clients that tokenise before they ask (LangChain's default).

Only decoding, which needs no more than the table: a file with one `<base64 of the bytes> <id>` a line, as OpenAI
publishes it and tiktoken caches it. Which ids are cl100k's is said by the client or the settings, never guessed.
"""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path

from embedplane_server.errors import invalid_settings
from embedplane_server.refusals import ForeignTokens

NAME = "cl100k_base"
_SPECIAL = {
    100_257: b"<|endoftext|>",
    100_258: b"<|fim_prefix|>",
    100_259: b"<|fim_middle|>",
    100_260: b"<|fim_suffix|>",
}


class Cl100k:
    """The bytes of every id."""

    def __init__(self, table: dict[int, bytes]) -> None:
        self._table = {**table, **_SPECIAL}

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; a character that was cut between two lists of ids becomes U+FFFD."""
        try:
            return b"".join(map(self._table.__getitem__, ids)).decode("utf-8", errors="replace")
        except KeyError as error:
            raise ForeignTokens(f"{error.args[0]} is no id of {NAME}") from error


def load_cl100k(path: Path) -> Cl100k:
    """Load the table; anything else is an error of the settings."""
    try:
        pairs = [line.split() for line in path.read_bytes().splitlines() if line.strip()]
        return Cl100k({int(number): base64.b64decode(text, validate=True) for text, number in pairs})
    except OSError as error:
        raise invalid_settings(f"EMBEDPLANE_CL100K_FILE: cannot read {path}: {error.strerror}.") from error
    except (ValueError, binascii.Error) as error:
        raise invalid_settings(
            f"EMBEDPLANE_CL100K_FILE: {path} is not the table of cl100k_base ({error}). "
            "It has lines such as 'IQ== 0'; tiktoken keeps it in its cache folder."
        ) from error
