"""The ids that a model's tokenizer puts around every text: how its own token ids are recognised, and cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from embedplane_server.tokenization import Side, Text


class Encoder(Protocol):
    """What this module needs of a tokenizer."""

    def encode(self, texts: Sequence[Text]) -> list[list[int]]:
        """Return the ids of each text, special tokens included."""
        ...


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The ids that the tokenizer puts around every text."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Encoder) -> "SpecialTokens":
        """Find them by comparing nothing with something."""
        nothing, something = (tuple(ids) for ids in tokenizer.encode(["", "a"]))
        shared = next((i for i, (a, b) in enumerate(zip(nothing, something, strict=False)) if a != b), len(nothing))
        return cls(nothing[:shared], nothing[shared:])

    def surround(self, ids: Sequence[int]) -> bool:
        """Tell whether ids begin and end as the tokenizer's own do."""
        head, tail = len(self.before), len(self.after)
        return (
            len(ids) > head + tail and tuple(ids[:head]) == self.before and tuple(ids[len(ids) - tail :]) == self.after
        )

    def cut(self, ids: Sequence[int], window: int, side: Side) -> list[int]:
        """Return ids that they surround, cut to a window; they themselves stay."""
        inner = ids[len(self.before) : len(ids) - len(self.after)]
        kept = max(window - len(self.before) - len(self.after), 0)
        return [*self.before, *(inner[:kept] if side == "right" else inner[len(inner) - kept :]), *self.after]
