"""Which prompt stands before the texts of a request. Decides by name only; knows no tokens and no wire format.

A named prompt and the default one are as in sentence-transformers' `encode`, an input type as in its `encode_query` and
`encode_document`: a type for which the model has no prompt gets none, not even the default.
"""

from collections.abc import Mapping, Sequence

from embedplane_server.refusals import TwoPrompts, UnknownPrompt

INPUT_TYPES: Mapping[str, Sequence[str]] = {
    "query": ("query",),
    "search_query": ("search_query", "query"),
    "retrieval_query": ("retrieval_query", "query"),
    "document": ("document", "passage", "corpus"),
    "passage": ("passage", "document", "corpus"),
    "corpus": ("corpus", "document", "passage"),
    "search_document": ("search_document", "document", "passage", "corpus"),
    "retrieval_document": ("retrieval_document", "document", "passage", "corpus"),
    "classification": ("classification",),
    "clustering": ("clustering",),
    "semantic_similarity": ("semantic_similarity",),
}
"""What clients of any peer call the kinds of text, and the prompts that are meant, the first that exists."""


class Prompts:
    """The prompts of one model."""

    def __init__(self, by_name: Mapping[str, str], default: str | None) -> None:
        self._by_name = dict(by_name)
        self._default = self._by_name[default] if default else ""

    @property
    def longest(self) -> int:
        """Characters of the longest prompt."""
        return max(map(len, self._by_name.values()), default=0)

    def text(self, name: str | None = None, input_type: str | None = None) -> str:
        """Return what stands before each text; `UnknownPrompt` when it is not known what is meant."""
        if name is not None:
            if input_type is not None:
                raise TwoPrompts
            return self._named(name)
        return self._default if input_type is None else self._of_type(input_type)

    def _named(self, name: str) -> str:
        if name not in self._by_name:
            raise UnknownPrompt("prompt_name", name, sorted(self._by_name))
        return self._by_name[name]

    def _of_type(self, input_type: str) -> str:
        if input_type in self._by_name:
            return self._by_name[input_type]
        candidates = INPUT_TYPES.get(input_type.lower())
        if candidates is None:
            raise UnknownPrompt("input_type", input_type, [*INPUT_TYPES, *sorted(self._by_name.keys() - INPUT_TYPES)])
        return next((self._by_name[name] for name in candidates if name in self._by_name), "")
