"""What must not stand in a report that is pasted into a public issue: this machine's names and paths. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

# Tokens as hubs and clouds write them, wherever they come from.
_TOKENS = re.compile(r"\b(?:hf|ghp|github_pat|glpat|sk|nvapi|AKIA)[_-]?[A-Za-z0-9_-]{16,}")
# Only where it cannot be a version: TensorRT's has four numbers as well.
_ADDRESSES = re.compile(r"(?<=//)\d{1,3}(?:\.\d{1,3}){3}\b|\b\d{1,3}(?:\.\d{1,3}){3}(?=:\d)")
_FEWEST_CHARACTERS = 3
"""What is shorter stands in ordinary words."""


@dataclass(frozen=True)
class Scrubber:
    """Replaces each of some texts by a word of its own."""

    words: Mapping[str, str]
    """Text to word; the longest text goes first, so that a folder inside another has its own word."""

    def __call__(self, text: str) -> str:
        """Return a text without what it must not say."""
        for secret in sorted(self.words, key=len, reverse=True):
            if len(secret) < _FEWEST_CHARACTERS:
                continue
            edge = r"(?<![A-Za-z0-9_-])" if secret[0].isalnum() else ""
            text = re.sub(edge + re.escape(secret) + r"(?![A-Za-z0-9_-])", self.words[secret], text)
        return _ADDRESSES.sub("<address>", _TOKENS.sub("<token>", text))
