"""The texts that every engine is proven with: short ones of many kinds, a ladder of lengths, and every prompt.

All are written for this purpose. Which texts there are is in no key: what was proven with fewer stays proven, and an
upgrade rebuilds nothing.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import cycle

from embedplane_server.tokenization import Text

# fp32 on a few cores has to end: two texts at most are longer than the first number, none than the second.
LONG_TOKENS = 2048
LONGEST_TOKENS = 8192

_RUNGS = (8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 768, 1024, 1536, 2048)
_VERY_LONG_RUNGS = (4096,)
_BEYOND_WINDOW = 32

# So many texts follow each prompt, as long as all prompts together have no more than the second number.
_TEXTS_OF_A_PROMPT = 6
_PROMPTED_TEXTS = 60

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class PromptedText:
    """A text behind a prompt of the model; behind "" there is none."""

    prompt: str
    text: str

    @property
    def whole(self) -> str:
        return self.prompt + self.text


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

    def behind(self, prompts: Iterable[str]) -> list[PromptedText]:
        """Return a few texts, spread over all kinds, behind each prompt."""
        distinct = list(dict.fromkeys(prompts))
        each = max(1, min(_TEXTS_OF_A_PROMPT, _PROMPTED_TEXTS // max(len(distinct), 1)))
        step = len(self.texts) // each
        return [
            PromptedText(prompt, self.texts[(place * step + turn) % len(self.texts)])
            for turn, prompt in enumerate(distinct)
            for place in range(each)
        ]

    def _of_length(self, tokens: int, start: int, count: CountTokens) -> str:
        """Return a text of so many tokens: paragraphs one after the other, cut where they are reached.

        Where no cut has exactly so many, because a character takes several tokens, it has a few less.
        """
        text = ""
        begin = start % len(self.paragraphs)
        paragraphs = cycle(self.paragraphs[begin:] + self.paragraphs[:begin])
        while count(text) < tokens:
            text += ("\n\n" if text else "") + next(paragraphs)
        low, high = 1, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if count(text[:middle].rstrip()) <= tokens else (low, middle - 1)
        return text[:low].rstrip()


def paired(texts: Sequence[str]) -> list[Text]:
    """Return the texts for a model that reads two at once: every third alone, the others each with the next one."""
    return [text if index % 3 == 2 else (text, texts[(index + 1) % len(texts)]) for index, text in enumerate(texts)]


def load_golden_texts() -> GoldenTexts:
    """Read the package's data file, in which the texts stand by kind."""
    content = json.loads(files("embedplane_server.export").joinpath("golden-texts.json").read_text(encoding="utf-8"))
    kinds: Mapping[str, list[str]] = content["texts"]
    return GoldenTexts(tuple(text for texts in kinds.values() for text in texts), tuple(content["paragraphs"]))
