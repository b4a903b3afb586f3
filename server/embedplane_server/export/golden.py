"""The texts that every engine is proven with: short ones of many kinds, and a ladder of lengths up to the window.

All are written for this purpose. A change of texts or ladder raises `FORMAT_VERSION` of `manifest.py`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import cycle

from embedplane_server.tokenization import Text

# fp32 on a few cores has to end: two texts at most are longer than the first number, none than the second.
LONG_TOKENS = 2048
LONGEST_TOKENS = 8192

_RUNGS = (16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 768, 1024, 1536, 2048)
_VERY_LONG_RUNGS = (4096,)
_BEYOND_WINDOW = 32

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class GoldenTexts:
    """Texts of the data file: those used as they are, and paragraphs that longer texts are made of."""

    texts: tuple[str, ...]
    paragraphs: tuple[str, ...]

    def up_to(self, window: int, count: CountTokens) -> list[str]:
        """Return all texts for a window: the longest fills it, or comes near to what is still affordable."""
        limit = min(window, LONGEST_TOKENS)
        # A text longer than the window shows that it is cut as the reference cuts it.
        last = limit + _BEYOND_WINDOW if limit == window else limit
        rungs = [*(rung for rung in (*_RUNGS, *_VERY_LONG_RUNGS) if rung < limit), last]
        return [*self.texts, *(self._of_length(rung, start, count) for start, rung in enumerate(rungs))]

    def _of_length(self, tokens: int, start: int, count: CountTokens) -> str:
        """Return a text of nearly so many tokens: paragraphs one after the other, cut between two words."""
        text = ""
        paragraphs = cycle(
            self.paragraphs[start % len(self.paragraphs) :] + self.paragraphs[: start % len(self.paragraphs)]
        )
        while count(text) < tokens:
            text += ("\n\n" if text else "") + next(paragraphs)
        words = text.split(" ")
        low, high = 1, len(words)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if count(" ".join(words[:middle])) <= tokens else (low, middle - 1)
        return " ".join(words[:low])


def paired(texts: Sequence[str]) -> list[Text]:
    """Return the texts for a model that reads two at once: every third alone, the others each with the next one."""
    return [text if index % 3 == 2 else (text, texts[(index + 1) % len(texts)]) for index, text in enumerate(texts)]


def load_golden_texts() -> GoldenTexts:
    """Read the package's data file."""
    content = json.loads(files("embedplane_server.export").joinpath("golden-texts.json").read_text(encoding="utf-8"))
    return GoldenTexts(tuple(content["texts"]), tuple(content["paragraphs"]))
