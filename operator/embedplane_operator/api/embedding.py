"""spec.embedding: what differs from the model's own files."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from embedplane_operator.api.base import UNIQUE, ApiModel, rule, rules

Pooling = Literal["cls", "lasttoken", "max", "mean", "mean_sqrt_len_tokens", "weightedmean"]
PromptName = Annotated[str, Field(min_length=1, max_length=63)]
PromptText = Annotated[str, Field(max_length=4096)]
Length = Annotated[int, Field(ge=1, le=65536)]


class Dimensions(ApiModel):
    """Shorter vectors, for models whose vectors have beginnings that are vectors too (Matryoshka)."""

    default: Length | None = None
    """Length of vectors where a request names none, 1 to the model's own; part of the vector space. Default: the
    model's own."""
    allowed: tuple[Length, ...] = Field((), max_length=64, json_schema_extra=UNIQUE)
    """Further lengths that requests may ask for, besides default and the model's own; any other gets 400. At most 64,
    each at most the model's own. Default: none."""


class Embedding(ApiModel):
    """What differs from the model's own files; part of the vector space: vectors before and after cannot be mixed."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.defaultPrompt) || !has(self.prompts) || self.defaultPrompt in self.prompts",
                "defaultPrompt must name one of prompts; add it there, or leave prompts out to use the model's own",
                field="defaultPrompt",
            )
        )
    )
    pooling: Pooling | None = None
    """How token vectors become one vector. Default: what the model's files say."""
    normalize: bool | None = None
    """Whether vectors are scaled to length 1. Default: what the model's files say."""
    max_sequence_length: Annotated[int, Field(ge=1, le=131072)] | None = None
    """Longest input in tokens, special tokens included; 1 to 131072, never above what the model was trained for.
    Default: what the model's files say."""
    prompts: Annotated[dict[PromptName, PromptText], Field(max_length=64)] | None = None
    """Texts put in front of inputs, by name, instead of the model's own. At most 64, each at most 4096 characters."""
    default_prompt: PromptName | None = None
    """Name of the prompt that is used when a request names none. Default: what the model's files say."""
    dimensions: Dimensions = Dimensions()
    """Shorter vectors: cut, and normalised again if the model normalises. They mean something only if the model was
    trained for it."""
