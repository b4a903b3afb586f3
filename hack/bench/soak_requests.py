"""The requests of a soak: ordinary ones of every API family, and what a server must survive."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

WORDS = [
    "the",
    "river",
    "runs",
    "past",
    "old",
    "mills",
    "and",
    "quiet",
    "farms",
    "where",
    "people",
    "once",
    "traded",
    "wool",
    "for",
    "salt",
    "Überraschung",
    "漢字",
    "42",
]
PINNED = {"x-embedplane-vector-space": "vs1-ffffffffffffffffffff"}


@dataclass(frozen=True)
class Ask:
    """One request, what may be answered, and how much of it is sent."""

    kind: str
    path: str
    body: bytes | Mapping[str, Any]
    texts: tuple[str, ...] = ()
    """What is embedded when the answer is 200."""
    expected: tuple[int, ...] = (200,)
    headers: Mapping[str, str] = field(default_factory=dict)
    leaves_after: float | None = None
    """The share of the request after which the client closes its connection; None: it waits for the answer."""


class Dice(random.Random):
    """Falls the same way each time; `length` is how long all texts are, 1 being what they ordinarily are."""

    def __init__(self, seed: int, length: float) -> None:
        super().__init__(seed)
        self.length = length


def text(drawn: Dice, words: int) -> str:
    """Return a text of so many words."""
    return " ".join(drawn.choices(WORDS, k=max(1, round(words * drawn.length))))


def embeddings(kind: str, texts: list[str]) -> Ask:
    """Return a request in OpenAI's form."""
    return Ask(kind, "/v1/embeddings", {"input": texts}, tuple(texts))


def one(drawn: Dice) -> Ask:
    return embeddings("one", [text(drawn, drawn.randint(1, 60))])


def many(drawn: Dice) -> Ask:
    return embeddings("many", [text(drawn, drawn.randint(1, 40)) for _ in range(drawn.randint(9, 40))])


def tei(drawn: Dice) -> Ask:
    texts = [text(drawn, 8), text(drawn, 20)]
    return Ask("tei", "/embed", {"inputs": texts}, tuple(texts))


def cohere(drawn: Dice) -> Ask:
    texts = [text(drawn, 8)]
    return Ask("cohere", "/v2/embed", {"texts": texts, "embedding_types": ["base64"]}, tuple(texts))


def ollama(drawn: Dice) -> Ask:
    texts = [text(drawn, 5)]
    return Ask("ollama", "/api/embed", {"model": "model", "input": texts[0]}, tuple(texts))


def spelled(drawn: Dice) -> Ask:
    return Ask("spelled", "/tokenize", {"inputs": text(drawn, 50)})


def too_long(_: Dice) -> Ask:
    return replace(embeddings("too long", ["." * 200_000]), expected=(400,))


def oversized(_: Dice) -> Ask:
    return Ask("oversized", "/v1/embeddings", b"x" * (17 << 20), expected=(413,))


def malformed(drawn: Dice) -> Ask:
    body = drawn.choice([b"", b"{", b"[" * 500, b'{"input": 7}', b'{"input": []}', b'\xff\xfe{"input": "x"}'])
    return Ask("malformed", "/v1/embeddings", body, expected=(400,))


def unknown(_: Dice) -> Ask:
    return Ask("unknown", "/v1/embeddings", {"input": "x", "model": "another"}, expected=(404,))


def pinned(_: Dice) -> Ask:
    return replace(embeddings("pinned", ["x"]), headers=PINNED, expected=(412,))


def impatient(drawn: Dice) -> Ask:
    texts = [text(drawn, 60) for _ in range(20)]
    return replace(embeddings("impatient", texts), headers={"x-embedplane-timeout-ms": "20"}, expected=(200, 504))


def leaver(drawn: Dice) -> Ask:
    return replace(embeddings("leaver", [text(drawn, 60) for _ in range(20)]), leaves_after=1.0)


def half_sent(drawn: Dice) -> Ask:
    return replace(embeddings("half sent", [text(drawn, 60) for _ in range(20)]), leaves_after=0.7)


SHARES: Mapping[Callable[[Dice], Ask], int] = {
    one: 40,
    many: 10,
    tei: 10,
    cohere: 5,
    ollama: 5,
    spelled: 5,
    too_long: 3,
    malformed: 6,
    unknown: 2,
    pinned: 2,
    impatient: 4,
    leaver: 4,
    half_sent: 3,
    oversized: 1,
}


def asks(requests: int, seed: int, length: float = 1.0) -> Iterator[Ask]:
    """Make so many requests, one of each kind first; the seed decides what they are."""
    dice = Dice(seed, length)
    makers, weights = list(SHARES), list(SHARES.values())
    first = dice.sample(makers, k=len(makers))
    for number in range(requests):
        maker = first[number] if number < len(first) else dice.choices(makers, weights)[0]
        yield maker(dice)
