"""What a request may choose, what it gets that chooses nothing, and what it may hold. Data only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from embedplane_server.matryoshka import Matryoshka
from embedplane_server.prompts import Prompts
from embedplane_server.tokenization import Side

OWN_TOKENS = "model"
"""The name under which a client says that its token ids are the served model's own."""


class TokenDecoder(Protocol):
    """Token ids of another tokenizer, back to text."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text, or raise `ForeignTokens`."""
        ...


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may hold."""

    max_sequence_length: int
    max_inputs: int = 2048
    max_tokens: int = 300_000
    max_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Policy:
    """How this model is served: what a request may choose from, and what it gets that chooses nothing."""

    prompts: Prompts
    matryoshka: Matryoshka
    pools_prompts: bool = True
    """Whether the tokens of a prompt are pooled like all others."""
    truncate: bool = False
    """Whether a text that is longer than the window is cut rather than refused."""
    token_encoding: str = OWN_TOKENS
    """Whose token ids are meant."""
    decoders: Mapping[str, TokenDecoder] = field(default_factory=dict)
    """By name, whose token ids can be read besides the model's own."""


@dataclass(frozen=True, slots=True)
class Options:
    """What one request chooses; None: as the `Policy` has it."""

    prompt_name: str | None = None
    input_type: str | None = None
    truncate: bool | None = None
    cut_side: Side | None = None
    dimensions: int | None = None
    normalize: bool | None = None
    token_encoding: str | None = None
    every_token: bool = False
    """Whether a vector of each token is wanted, as the model makes them before it pools."""

    @property
    def names_a_prompt(self) -> bool:
        return self.prompt_name is not None or self.input_type is not None


NO_OPTIONS = Options()
