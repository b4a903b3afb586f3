"""Why a request as it stands cannot be embedded. `routes/errors.py` maps each to an HTTP status.

RequestRefused           `param` names the field, by OpenAI's name for it
├── EmptyInput           nothing to embed
├── TooManyInputs
├── InputTooLong         one input is longer than the model's window
│   └── TextTooLong      one text has more characters than are looked at
├── TooManyTokens        all inputs together
├── ForeignTokens        token ids that are not the served model's
├── UnknownTokenEncoding token ids of a tokenizer that this server cannot read
├── UnknownPrompt        a prompt or an input type that the model does not have
├── TwoPrompts           one by its name and one by the input's type
├── PromptWithTokens     a prompt for inputs that are tokens already
├── NoTokenVectors       the engine gives vectors of whole texts only
├── UnknownDimensions    a length of vectors that is not offered
└── CannotUndo           vectors without the normalisation that is part of the model
"""

from collections.abc import Iterable


class RequestRefused(Exception):  # noqa: N818 -- reads as the fact it states
    """The request as it stands cannot be embedded."""

    param = "input"


class EmptyInput(RequestRefused):
    """OpenAI's wording: clients match on it."""

    def __init__(self, field: str = "'$.input'") -> None:
        super().__init__(f"{field} is invalid: it must not be empty, and neither may any of its texts.")


class TooManyInputs(RequestRefused):
    """More inputs than a request may hold."""

    def __init__(self, inputs: int, limit: int) -> None:
        super().__init__(f"'$.input' is invalid: it has {inputs} inputs, but a request may hold at most {limit}.")


class InputTooLong(RequestRefused):
    """OpenAI's wording: clients match on it. `is_counted` is False where there are at least so many tokens."""

    def __init__(self, tokens: int, window: int, *, is_counted: bool = True) -> None:
        requested = tokens if is_counted else f"at least {tokens}"
        super().__init__(
            f"This model's maximum context length is {window} tokens, however you requested {requested} tokens "
            f"({requested} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
        )


class TextTooLong(InputTooLong):
    """Nearly nothing but spaces, or words that no vocabulary knows: it might fit, but finding out costs too much."""

    def __init__(self, characters: int, limit: int, window: int) -> None:
        RequestRefused.__init__(
            self,
            f"This model's maximum context length is {window} tokens, for which at most {limit} characters of a text "
            f"are read, however you requested {characters} characters. Please reduce your prompt.",
        )


class TooManyTokens(RequestRefused):
    """OpenAI's wording: clients match on it. `is_counted` is False where there are at least so many tokens."""

    def __init__(self, tokens: int, limit: int, *, is_counted: bool = True) -> None:
        requested = tokens if is_counted else f"at least {tokens}"
        super().__init__(f"Requested {requested} tokens, max {limit} tokens per request")


class ForeignTokens(RequestRefused):
    """Ids of another tokenizer would give vectors that mean nothing."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"'$.input' holds token ids that are not this model's: {what}. Token ids must come from the served model's "
            "own tokenizer, special tokens included. Send text instead (with LangChain's OpenAIEmbeddings set "
            "check_embedding_ctx_length=False), or say whose ids they are in the header x-embedplane-token-encoding."
        )


class UnknownTokenEncoding(RequestRefused):
    """The client says whose ids it sends, and this server cannot turn them back into text."""

    def __init__(self, encoding: str, known: Iterable[str]) -> None:
        super().__init__(
            f"This server cannot read token ids of {encoding!r}; it reads those of {', '.join(known)}. Send text "
            "instead; with LangChain's OpenAIEmbeddings set check_embedding_ctx_length=False."
        )


class UnknownPrompt(RequestRefused):
    """A typo here would give vectors of another kind without anybody noticing."""

    def __init__(self, param: str, name: str, known: Iterable[str]) -> None:
        names = ", ".join(known) or "none: this model has no prompts"
        super().__init__(f"Invalid value for '{param}': {name!r} is not known. Known are {names}.")
        self.param = param


class TwoPrompts(RequestRefused):
    """Two ways to say which prompt, which may contradict each other."""

    param = "prompt_name"

    def __init__(self) -> None:
        super().__init__("'prompt_name' and 'input_type' both say which prompt to use. Set one of them.")


class PromptWithTokens(RequestRefused):
    """A prompt is text, and comes before tokenisation."""

    def __init__(self, param: str) -> None:
        super().__init__(
            f"'{param}' asks for a prompt, but '$.input' holds token ids, which no text can be put before. "
            f"Send text, or make the prompt part of the token ids and leave '{param}' out."
        )
        self.param = param


class NoTokenVectors(RequestRefused):
    """An engine of an older version, or of another backend than OpenVINO."""

    def __init__(self) -> None:
        super().__init__(
            "The engine that serves gives no vectors of single tokens: it is for a GPU, or was built by a version of "
            "Embedplane that had none. Then remove its export and its engine from the store, and they are made again."
        )


class UnknownDimensions(RequestRefused):
    """The model's policy does not offer vectors of this length."""

    param = "dimensions"

    def __init__(self, asked: int, native: int, allowed: Iterable[int]) -> None:
        super().__init__(
            f"This model has {native} dimensions; {asked} is not offered. "
            f"Allowed are {', '.join(map(str, allowed))}; leave the field out for the default."
        )


class CannotUndo(RequestRefused):
    """The model's last module normalises; what was there before is gone."""

    param = "normalize"

    def __init__(self) -> None:
        super().__init__(
            "Invalid value for 'normalize': normalisation is part of this model, so it has no other vectors. "
            "Leave 'normalize' out or set it to true."
        )
