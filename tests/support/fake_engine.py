"""An engine and a tokenizer without a library, and the application around them."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from embedplane_server.app import Application, create_app
from embedplane_server.builders.conformance import References
from embedplane_server.builders.manifest import EngineManifest
from embedplane_server.engines.base import Batch, TypedIds, Vectors
from embedplane_server.errors import EngineError
from embedplane_server.model import ModelDescription
from embedplane_server.model.classifier import Activation
from embedplane_server.model.description import Kind
from embedplane_server.results import BenchmarkResult, ConformanceResult
from embedplane_server.self_check import Checked, Proof
from embedplane_server.settings import ServeSettings
from embedplane_server.tokenization import Fitted, Side, Text, Token, longest_first

DIMENSIONS = 8
TOKEN_DIMENSIONS = 12
WINDOW = 64
SPACE = "vs1-00112233445566778899"
NAMES = ("minilm", "org/minilm", "model")
FIRST, LAST, WORDS_FROM, VOCABULARY = 101, 102, 1000, 30_522


class FakeTokenizer:
    """One id a word, between two special ones, as BERT's tokenizers have them."""

    vocabulary_size = VOCABULARY
    cut_side: Side = "right"

    def encode(self, texts: Sequence[Text]) -> list[list[int]]:
        return [self._encode(text.split()) if isinstance(text, str) else self._pair(*text) for text in texts]

    def fit(self, texts: Sequence[Text], window: int, side: Side) -> list[Fitted]:
        whole = self.encode(texts)
        return [
            Fitted(ids if len(ids) <= window else self._cut(text, window, side), len(ids))
            for text, ids in zip(texts, whole, strict=True)
        ]

    def _cut(self, text: Text, window: int, side: Side) -> list[int]:
        if isinstance(text, tuple):
            words = [part.split() for part in text]
            kept = longest_first(len(words[0]), len(words[1]), window - 3)
            short = [part[:n] if side == "right" else part[-n:] for part, n in zip(words, kept, strict=True)]
            return self._pair(*map(" ".join, short))
        ids = [self._id(word) for word in text.split()]
        return [FIRST, *(ids[: window - 2] if side == "right" else ids[len(ids) - window + 2 :]), LAST]

    def tokens(self, texts: Sequence[str], *, special: bool) -> list[list[Token]]:
        return [self._tokens(text, special) for text in texts]

    def decode(self, token_ids: Sequence[Sequence[int]], *, skip_special: bool) -> list[str]:
        return [" ".join(f"w{i}" for i in ids if not (skip_special and i in (FIRST, LAST))) for ids in token_ids]

    def _tokens(self, text: str, special: bool) -> list[Token]:
        found = [Token(self._id(each[0]), each[0], False, *each.span()) for each in re.finditer(r"\S+", text)]
        around = [Token(FIRST, "[CLS]", True, None, None), *found, Token(LAST, "[SEP]", True, None, None)]
        return around if special else found

    def head(self, text: str, tokens: int) -> str:
        return " ".join(text.split()[:tokens])

    def _encode(self, words: Sequence[str]) -> list[int]:
        return [FIRST, *(self._id(word) for word in words), LAST]

    def _pair(self, first: str, second: str) -> list[int]:
        one, two = self._encode(first.split()), self._encode(second.split())[1:]
        return TypedIds([*one, *two], [0] * len(one) + [1] * len(two))

    def _id(self, word: str) -> int:
        return WORDS_FROM + sum(ord(letter) * 31**place for place, letter in enumerate(word)) % (
            VOCABULARY - WORDS_FROM
        )


def vector_of(ids: Sequence[int]) -> Vectors:
    """Return what the fake engine makes of ids: a unit vector that depends on all of them."""
    vector = np.random.default_rng(list(ids)).standard_normal(DIMENSIONS)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def token_vectors_of(ids: Sequence[int]) -> Vectors:
    """Return what the fake engine makes of the tokens of a text; they depend on all of them."""
    return np.stack([np.concatenate([vector_of(ids), vector_of([token])])[-TOKEN_DIMENSIONS:] for token in ids])


class FakeEngine:
    """Remembers its batches. Tests hold it, let single batches through, or break it."""

    def __init__(
        self, dimensions: int = DIMENSIONS, token_dimensions: int | None = TOKEN_DIMENSIONS, parallel: int = 1
    ) -> None:
        self.dimensions = dimensions
        self.token_dimensions = token_dimensions
        self.parallel = parallel
        self.row_tokens: int | None = None
        self.batches: list[Batch] = []
        self.threads: set[int] = set()
        self.fails_on: set[int] | None = None
        """Token ids that make a batch fail; an empty set fails every batch."""
        self.answer: Vectors | None = None
        """What to return instead of the right vectors."""
        self.is_wrong: Callable[[int], bool] = lambda _: False
        """Which calls, by their number from 1, return vectors that point the other way."""
        self.closed = False
        self._passes = threading.Semaphore(0)
        self._held = False
        self._entered = threading.Semaphore(0)

    def hold(self) -> None:
        """Let no batch end until it is let through."""
        self._held = True

    def let_through(self, batches: int = 1) -> None:
        self._passes.release(batches)

    def release(self) -> None:
        """Hold no batch any more."""
        self._held = False
        self._passes.release(1)

    def wait_until_busy(self, within: float = 10) -> None:
        """Return when one more batch has begun."""
        assert self._entered.acquire(timeout=within), "no batch began"

    def enter_thread(self) -> None:
        pass

    def embed(self, batch: Batch) -> Vectors:
        self.threads.add(threading.get_ident())
        self.batches.append(batch)
        number = len(self.batches)
        self._entered.release()
        if self._held:
            assert self._passes.acquire(timeout=30), "the test never let the batch through"
        if self.fails_on is not None and (not self.fails_on or self._holds_one_of(batch, self.fails_on)):
            raise EngineError("the fake engine was told to fail")
        if self.answer is not None:
            return self.answer
        if batch.every_token:
            return np.concatenate([token_vectors_of(ids) for ids in batch.token_ids])
        vectors = np.stack([vector_of(ids)[: self.dimensions] for ids in batch.token_ids])
        return -vectors if self.is_wrong(number) else vectors

    def close(self) -> None:
        self.closed = True

    def _holds_one_of(self, batch: Batch, ids: set[int]) -> bool:
        return any(not ids.isdisjoint(text) for text in batch.token_ids)


def engine_manifest(**changes: Any) -> EngineManifest:
    description = ModelDescription(
        architecture="BertModel",
        dimensions=DIMENSIONS,
        pooling="mean",
        normalized=changes.pop("normalized", True),
        max_sequence_length=WINDOW,
        similarity=changes.pop("similarity", "cosine"),
        prompts=changes.pop("prompts", {}),
        default_prompt=changes.pop("default_prompt", None),
        vector_space=SPACE,
    )
    facts: dict[str, Any] = {
        "key": "en1-00112233445566778899",
        "variant": "x86-64-avx512-bf16",
        "backend": "openvino",
        "backend_version": "2026.4.1",
        "precision": "bfloat16",
        "max_batch_tokens": 256,
        "conformance": ConformanceResult(texts=50, minimum_cosine=0.9998, mean_cosine=0.9999),
        "benchmark": BenchmarkResult(tokens_per_second=1000, batch_tokens=256),
        "built_at": datetime(2026, 11, 1, tzinfo=UTC),
        "commit": "c0ffee",
        "digest": "d1",
        "vector_space": SPACE,
        "description": description,
    }
    return EngineManifest(**{**facts, **changes})


def classifying_manifest(*labels: str, activation: Activation = "softmax", **changes: Any) -> EngineManifest:
    """Return the manifest of a model that classifies; with one label it is a reranker."""
    manifest = engine_manifest(**changes)
    description = replace(
        manifest.description,
        architecture="BertForSequenceClassification",
        dimensions=len(labels),
        pooling=None,
        normalized=False,
        similarity=None,
        task="classification",
        labels=labels,
        activation=activation,
    )
    return manifest.model_copy(update={"description": description})


def serve_settings(**changes: Any) -> ServeSettings:
    facts: dict[str, Any] = {
        "engine_key": "en1-00112233445566778899",
        "model_name": NAMES[0],
        "served_model_names": NAMES,
        "vector_space": SPACE,
        "threads": 1,
        "host": "127.0.0.1",
        "port": 0,
        "drain_delay_seconds": 0,
        "self_check_seconds": 0,
    }
    return ServeSettings(**{**facts, **changes})


def fake_proof() -> Proof:
    """Return golden texts, their vectors by the fake engine, and a check at start that passed."""
    texts = tuple(tuple(range(1000, 1000 + length)) for length in range(3, 43, 4))
    references = References(texts, np.stack([vector_of(ids) for ids in texts]))
    return Proof(references, Checked(datetime(2026, 11, 1, tzinfo=UTC), len(texts), 1.0))


def fake_application(
    engine: FakeEngine, manifest: EngineManifest | None = None, proof: Proof | None = None, **settings: Any
) -> Application:
    manifest, proof = manifest or engine_manifest(), proof or fake_proof()
    return create_app(serve_settings(**settings), engine, FakeTokenizer(), manifest, None, proof)


MANIFESTS: Mapping[Kind, EngineManifest] = {
    "embedding": engine_manifest(),
    "reranker": classifying_manifest("LABEL_0", activation="sigmoid"),
    "classifier": classifying_manifest("joy", "anger"),
}
"""One of each kind."""
