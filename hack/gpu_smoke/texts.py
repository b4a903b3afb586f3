"""What the servers are asked: golden texts for vectors, and prose of three lengths for speed."""

import json
import random
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from hack.bench.serving.workload import Workload

GOLDEN = Path(__file__).parents[2] / "server" / "embedplane_server" / "export" / "golden-texts.json"
COMPARED = 32
KINDS = ("short", "mixed", "long")

_MOST_WORDS = 380  # of English, which are about 512 tokens
_WORDS_A_TOKEN = 0.7
_REQUESTS = 8
_TEXTS_A_REQUEST = {"short": 64, "mixed": 32, "long": 8}


def compared_texts() -> list[str]:
    """Return texts of every kind, and two paragraphs."""
    content = _content()
    texts = [text for kind in content["texts"].values() for text in kind if text.strip()]
    step = max(1, len(texts) // (COMPARED - 2))
    return [*texts[::step][: COMPARED - 2], *content["paragraphs"][:2]]


def workload(kind: str, window: int, in_flight: int) -> Workload:
    """Return texts of a kind: about 16 tokens, 20 to 250, or as many as the window and 512; the same ones each time.

    How many tokens they have is the server's to say.
    """
    dice = random.Random(512)  # noqa: S311 -- the same texts each time
    most = min(_MOST_WORDS, int(window * _WORDS_A_TOKEN))
    lengths: dict[str, Callable[[], int]] = {
        "short": lambda: dice.randint(7, 15),
        "mixed": lambda: min(max(14, int(dice.lognormvariate(4.2, 0.55))), 180),
        "long": lambda: most,
    }
    words = cycle(" ".join(_content()["paragraphs"]).split())
    each = _TEXTS_A_REQUEST[kind]
    texts = [" ".join(islice(words, min(lengths[kind](), most))) for _ in range(each * _REQUESTS)]
    return Workload(kind, texts, [0] * len(texts), each, in_flight)


def _content() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return content
