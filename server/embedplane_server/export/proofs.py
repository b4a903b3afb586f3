"""Golden texts and users' own as token ids with vectors by sentence-transformers: what engines are compared with."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedplane_server.builders.conformance import References, save_references
from embedplane_server.engines.base import PromptedIds, TypedIds
from embedplane_server.errors import invalid_settings, unsupported_model
from embedplane_server.export import reference
from embedplane_server.export.golden import LONGEST_TOKENS, load_golden_texts, paired
from embedplane_server.export.manifest import GOLDEN_TEXTS, TEXT_NAMES, TOKENIZER
from embedplane_server.export.own_texts import OwnText
from embedplane_server.model import ModelDescription
from embedplane_server.progress import Progress
from embedplane_server.prompt_tokens import prompt_tokens
from embedplane_server.special_tokens import SpecialTokens
from embedplane_server.tokenization import Text, Tokenizer, load_tokenizer

Vector = NDArray[np.float32]
NO_VECTOR: Vector = np.empty(0, dtype=np.float32)
_BATCH_TOKENS = 512


@dataclass(frozen=True, slots=True)
class _Case:
    """A text, or two: with its prompt as servers tokenise it, without as sentence-transformers takes it."""

    whole: Text
    bare: Text
    prompt: str | None
    """None: sentence-transformers is left to put the default prompt before it."""
    name: str
    """What errors call it."""


@dataclass(frozen=True, slots=True)
class Prover:
    """A model in sentence-transformers, and the tokenizer that servers will use for it."""

    model: reference.Model
    description: ModelDescription
    tokenizer: Tokenizer
    progress: Progress

    def golden(self, folder: Path) -> int:
        """Write the golden texts and their references; return how many there are."""
        cases = [case for case in self._golden_cases() if self.tokenizer.encode([case.whole])[0]]
        self._write(folder, cases)
        texts = json.dumps([case.whole for case in cases], ensure_ascii=False, indent=1)
        (folder / GOLDEN_TEXTS).write_text(texts, encoding="utf-8")
        return len(cases)

    def own(self, folder: Path, texts: Sequence[OwnText]) -> int:
        """Write the references of a user's texts, and of the texts no more than where they stand."""
        is_embedding = self.description.task == "embedding"
        self._write(folder, [self._case(own.text if is_embedding else own.for_pairs(), own.name) for own in texts])
        (folder / TEXT_NAMES).write_text(json.dumps([own.name for own in texts]), encoding="utf-8")
        return len(texts)

    def _case(self, text: Text, name: str) -> _Case:
        """Return a text as it is embedded for a request that names no prompt."""
        whole = self.description.default_prompt_text + text if isinstance(text, str) else text
        return _Case(whole, text, None, name)

    def _golden_cases(self) -> list[_Case]:
        golden, prompt = load_golden_texts(), self.description.default_prompt_text
        window = self.description.max_sequence_length
        found = golden.up_to(window, lambda text: len(self.tokenizer.encode([prompt + text])[0]))
        texts = paired(found) if self.description.task == "classification" else found
        others = sorted({text for text in ("", *self.description.prompts.values()) if text != prompt})
        return [
            *(self._case(text, repr(str(text)[:40])) for text in texts),
            *(_Case(each.whole, each.text, each.prompt, repr(each.whole[:40])) for each in golden.behind(others)),
        ]

    def _write(self, folder: Path, cases: Sequence[_Case]) -> None:
        ids = self.tokenizer.encode_within([case.whole for case in cases], self.description.max_sequence_length)
        for case, ours in zip(cases, ids, strict=True):
            self._check(case, ours)
        if not self.description.pools_prompts:
            left_out = {prompt: self._left_out(prompt) for prompt in {self._prompt_of(case) for case in cases}}
            ids = [PromptedIds(ours, left_out[self._prompt_of(case)]) for case, ours in zip(cases, ids, strict=True)]
        vectors: list[Vector] = [NO_VECTOR] * len(cases)
        done = 0
        for rows in alike([(len(ours), case.prompt) for case, ours in zip(cases, ids, strict=True)]):
            found = reference.vectors(self.model, [cases[row].bare for row in rows], cases[rows[0]].prompt)
            for row, vector in zip(rows, found, strict=True):
                vectors[row] = vector
            done += len(rows)
            self.progress.share("reference vectors", done, len(cases))
        self.progress.say(f"{len(cases)} reference vectors of {min(map(len, ids))} to {max(map(len, ids))} tokens")
        save_references(folder, References(tuple(ids), np.stack(vectors)))

    def _prompt_of(self, case: _Case) -> str:
        return self.description.default_prompt_text if case.prompt is None else case.prompt

    def _left_out(self, prompt: str) -> int:
        """Return how many tokens of a prompt are not pooled, as servers count them and sentence-transformers does."""
        if not prompt:
            return 0
        special, window = SpecialTokens.of(self.tokenizer), self.description.max_sequence_length
        ours, theirs = (
            prompt_tokens(self.tokenizer, special, prompt, window),
            reference.prompt_tokens(self.model, prompt),
        )
        if ours != theirs:
            raise unsupported_model(
                f"the model's pooling leaves {theirs} tokens of its prompt {prompt[:40]!r} out, and {ours} were "
                "expected. Set embedding.prompts to {} to serve it without prompts, and please report the model."
            )
        return ours

    def _check(self, case: _Case, ours: list[int]) -> None:
        if ours != reference.token_ids(self.model, case.whole) or not _same_types(
            ours, reference.type_ids(self.model, case.whole)
        ):
            raise unsupported_model(
                f"the tokenizer cannot be served exactly: {case.name} has other token ids in sentence-transformers. "
                "Please report the model."
            )
        if not 0 < len(ours) <= LONGEST_TOKENS:
            raise invalid_settings(
                f"{case.name} has {len(ours)} tokens. Texts to compare have 1 to {LONGEST_TOKENS:,}: shorten or remove "
                "it."
            )


def alike(kinds: Sequence[tuple[int, str | None]]) -> list[list[int]]:
    """Return rows of texts of the same length behind the same prompt, together no more tokens than one long text.

    Nothing is padded in such a batch, and hundreds of short texts take a fraction of the time.
    """
    rows_of: dict[tuple[int, str | None], list[int]] = {}
    for row, kind in enumerate(kinds):
        rows_of.setdefault(kind, []).append(row)
    batches = []
    for (length, _), rows in rows_of.items():
        size = max(1, _BATCH_TOKENS // length)
        batches += [rows[start : start + size] for start in range(0, len(rows), size)]
    return batches


def prover(model: reference.Model, description: ModelDescription, folder: Path, progress: Progress) -> Prover:
    """Write the tokenizer as sentence-transformers has it, and return what proves with it."""
    (folder / TOKENIZER).write_text(reference.tokenizer_document(model), encoding="utf-8")
    return Prover(model, description, load_tokenizer(folder / TOKENIZER), progress)


def _same_types(ours: list[int], theirs: list[int] | None) -> bool:
    types = ours.type_ids if isinstance(ours, TypedIds) else [0] * len(ours)
    return theirs is None or theirs == types
