"""How many tokens of a prompt a model's pooling leaves out, as sentence-transformers counts them."""

from collections.abc import Sequence
from typing import Protocol

from embedplane_server.special_tokens import SpecialTokens
from embedplane_server.tokenization import Fitted, Side, Text


class Fitter(Protocol):
    """What this module needs of `tokenization.Tokenizer`."""

    def fit(self, texts: Sequence[Text], window: int, side: Side) -> list[Fitted]:
        """Return each text cut to the window on a side; the special tokens stay."""
        ...


def prompt_tokens(tokenizer: Fitter, special: SpecialTokens, prompt: str, window: int) -> int:
    """Return the tokens of a prompt alone with the special ones before it, without the last one if that is special."""
    (fitted,) = tokenizer.fit([prompt], window, "right")
    return len(fitted.ids) - bool(special.after)
