"""Texts of many lengths, from one token to a model's window and beyond."""

SENTENCE = (
    "the river runs past old mills and quiet farms where people once traded wool for salt and news of distant harbours "
    "came with every boat while children learned to read the weather from the colour of the evening sky"
)
WORDS = SENTENCE.split()


def text_of(words: int, start: int = 0) -> str:
    """Return a text of so many words, another one for each `start`."""
    return " ".join(WORDS[(start + index * (1 + start % 5)) % len(WORDS)] for index in range(words))


def texts_up_to(words: int, count: int) -> list[str]:
    """Return `count` texts whose lengths grow from one word to `words`."""
    lengths = [1 + round((words - 1) * (index / (count - 1)) ** 2) for index in range(count)]
    return [text_of(length, start=index) for index, length in enumerate(lengths)]
