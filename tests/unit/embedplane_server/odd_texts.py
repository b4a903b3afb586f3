"""Tokenizers of every kind, texts that are hard to cut, and how much of a text a tokenizer was given."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests.support.reference import minilm_folder
from tests.support.texts import text_of

CORPUS = [text_of(40, start) + f" {start * 7919} {'=' * start}, don't!" for start in range(60)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def minilm() -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def byte_level() -> tokenizers.Tokenizer:
    """Byte-level BPE as GPT-2 and RoBERTa have it."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    return trained(tokenizer, trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIAL, show_progress=False))


def digits_in_threes() -> tokenizers.Tokenizer:
    """Byte-level BPE as Llama 3 and Qwen have it: what a digit belongs to depends on where the number begins."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    words = Regex(r"\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(words, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    return trained(tokenizer, trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIAL, show_progress=False))


def unigram() -> tokenizers.Tokenizer:
    """SentencePiece's model as XLM-RoBERTa has it."""
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return trained(
        tokenizer,
        trainers.UnigramTrainer(vocab_size=300, special_tokens=SPECIAL, unk_token="[UNK]", show_progress=False),
    )


def one_word_only() -> tokenizers.Tokenizer:
    """No words at all: the whole text is one, so nothing is ever settled before its end."""
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    return trained(tokenizer, trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, show_progress=False))


def trained(tokenizer: tokenizers.Tokenizer, trainer: Any) -> tokenizers.Tokenizer:
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


KINDS = (minilm, byte_level, digits_in_threes, unigram, one_word_only)

PARTS: Sequence[Callable[[random.Random], str]] = (
    lambda _: "the river runs ",
    lambda _: "harbours",
    lambda _: ", ",
    lambda _: "e\u0301\u0323 ",
    lambda _: "\u0301",
    lambda _: "Ünïcödé-Größe ",
    lambda _: "👩‍👩‍👧 ",
    lambda _: "don't we'll ",
    lambda _: "[SEP]",
    lambda _: "  [MASK]  ",
    lambda _: "[MAS",
    lambda r: "." * r.randint(1, 400),
    lambda r: "漢字" * r.randint(1, 200),
    lambda r: " " * r.randint(1, 600),
    lambda r: r.choice("\n\t\r\u00a0\u3000\x00\x07") * r.randint(1, 9),
    lambda r: "x" * r.randint(90, 500),
    lambda r: "a" * r.randint(1, 6) + " ",
    lambda r: str(r.getrandbits(r.choice([8, 64, 2000]))),
    lambda r: chr(r.randint(0x21, 0xD7FF)),
    lambda r: chr(r.randint(0x300, 0x36F)) * r.randint(1, 30),
)


def text_like_nothing(seed: int) -> str:
    """Return a text of up to 6,000 characters; a seed draws from a few of the parts, so that runs come up."""
    drawn = random.Random(seed)
    parts = drawn.sample(PARTS, drawn.choice([1, 2, 4, len(PARTS)]))
    size = drawn.randint(10, 6000)
    text = ""
    while len(text) < size:
        text += drawn.choice(parts)(drawn)
    return text


class Watched:
    """A tokenizer that remembers how many characters it was given at once."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.most = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def encode(self, text: str, **options: Any) -> tokenizers.Encoding:
        self.most = max(self.most, len(text))
        return self._tokenizer.encode(text, **options)

    def encode_batch_fast(self, texts: Sequence[str]) -> list[tokenizers.Encoding]:
        self.most = max([self.most, *map(len, texts)])
        return self._tokenizer.encode_batch_fast(list(texts))
