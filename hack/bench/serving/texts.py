"""Three kinds of texts, cut from real news to lengths in tokens, and the same tokens for every server."""

import random
from collections.abc import Callable, Sequence

from tokenizers import Tokenizer

from hack.bench.serving.installs import news
from hack.bench.serving.models import WINDOW, Model
from hack.bench.serving.workload import Workload

SPECIAL_TOKENS = 2


def workloads(model: Model) -> list[Workload]:
    """Return each kind of text with one and with many texts a request; few of the long ones, for the slow peers."""
    dice = random.Random(512)  # noqa: S311 -- the same texts each time
    tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
    kinds: dict[str, tuple[Callable[[], int], int, list[tuple[int, int]]]] = {
        "short": (lambda: dice.randint(10, 22), 1024, [(1, 64), (32, 8)]),
        "mixed": (lambda: min(max(20, int(dice.lognormvariate(4.5, 0.55))), 255), 512, [(1, 64), (32, 8)]),
        "long": (lambda: WINDOW, 64, [(1, 16), (8, 4)]),
    }
    made = []
    for name, (length, count, shapes) in kinds.items():
        texts = _pieces(tokenizer, [length() for _ in range(count)])
        lengths = [len(encoding.ids) for encoding in tokenizer.encode_batch(texts)]
        assert max(lengths) <= WINDOW
        made += [Workload(f"{name} b{each}", texts, lengths, each, in_flight) for each, in_flight in shapes]
    return made


def _pieces(tokenizer: Tokenizer, lengths: Sequence[int]) -> list[str]:
    """Cut the news, read round and round, into texts of at most these lengths: as many whole words as fit."""
    words = " ".join(news()).split()
    costs = [len(encoding.ids) for encoding in tokenizer.encode_batch(words, add_special_tokens=False)]
    texts, place = [], 0
    for length in lengths:
        room, taken = length - SPECIAL_TOKENS, []
        while costs[place] <= room:
            room -= costs[place]
            taken.append(words[place])
            place = (place + 1) % len(words)
        texts.append(" ".join(taken))
    return texts
