"""A text much longer than the window is refused, or cut, from one end of it, as if all of it had been tokenised."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

from embedplane_server.long_texts import last_look
from embedplane_server.refusals import TextTooLong
from embedplane_server.tokenization import Tokenizer
from tests.support.fake_engine import FakeEngine, engine_manifest
from tests.support.reference import minilm_folder
from tests.support.texts import text_of
from tests.unit.embedplane_server.serving import client_of

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


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("make", KINDS)
def test_a_cut_text_equals_the_one_that_was_tokenised_whole(make, side):
    reference = make()
    tokenizer = Tokenizer(tokenizers.Tokenizer.from_str(reference.to_str()))
    for seed in range(150):
        text, window = text_like_nothing(seed), (3, 8, 40, 200)[seed % 4]
        whole = len(reference.encode(text))
        reference.enable_truncation(window, direction=side)
        expected = reference.encode(text).ids
        reference.no_truncation()
        found = tokenizer.fit([text], window, side)[0]
        assert found.ids == expected, (seed, window)
        assert (found.tokens > window) == (whole > window), (seed, window)
        assert found.tokens == whole if found.is_counted else window < found.tokens <= whole, (seed, window)


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


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("unit", [".", "漢", "word ", "x" * 120 + " ", "7.", "e\u0301 "])
def test_of_a_huge_text_little_is_tokenised(unit, side):
    watched = Watched(minilm())
    found = Tokenizer(watched).fit([unit * (1_000_000 // len(unit))], 256, side)[0]
    assert (found.tokens > 256, found.is_counted) == (True, False)
    assert watched.most <= 64_000


@pytest.mark.parametrize("text", [" " * 1_000_000, "x" * 1_000_000])
def test_a_huge_text_that_may_fit_is_refused_rather_than_tokenised(text):
    watched = Watched(minilm())
    with pytest.raises(TextTooLong, match=r"at most 262144 characters of a text are read, however you requested 10"):
        Tokenizer(watched).fit([text], 256, "right")
    assert watched.most <= last_look(256)


def test_a_text_of_spaces_and_unknown_words_that_fits_is_embedded_whole():
    text = "the" + " " * 100_000 + "x" * 100_000 + " river"
    assert Tokenizer(minilm()).fit([text], 256, "right")[0].ids == minilm().encode(text).ids


async def test_a_long_text_is_told_how_many_tokens_it_has_at_least():
    async with client_of(FakeEngine(), Tokenizer(minilm()), engine_manifest()) as client:
        answer = await client.post("/v1/embeddings", json={"input": ["x", "." * 100_000]})
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "context_length_exceeded"
        assert "however you requested at least " in answer.json()["error"]["message"]
        answer = await client.post("/v1/embeddings", json={"input": " " * 1_000_000, "truncate": True})
        assert answer.json()["error"]["code"] == "context_length_exceeded"


async def test_a_request_is_tokenised_no_further_than_its_limit():
    watched = Watched(minilm())
    async with client_of(FakeEngine(), Tokenizer(watched), engine_manifest(), max_request_tokens=20_000) as client:
        answer = await client.post("/v1/embeddings", json={"input": ["." * 500] * 2000, "truncate": True})
        assert answer.json()["error"]["code"] == "max_tokens_per_request"
        assert answer.json()["error"]["message"].startswith("Requested at least ")


@pytest.mark.parametrize("inputs", ["." * 70_000, ["." * 500] * 200])
async def test_tokens_are_spelled_out_up_to_a_limit(inputs):
    watched = Watched(minilm())
    async with client_of(FakeEngine(), Tokenizer(watched), engine_manifest()) as client:
        assert len((await client.post("/tokenize", json={"inputs": "." * 60_000})).json()[0]) == 60_002
        answer = await client.post("/tokenize", json={"inputs": inputs})
        assert answer.status_code == 422
        assert "max 65536 tokens per request" in answer.json()["error"]
        assert watched.most <= 70_000


async def test_no_more_ids_are_decoded_than_a_request_may_hold(client):
    answer = await client.post("/decode", json={"ids": [7] * 300_001})
    assert answer.status_code == 422
    assert answer.json()["error"] == "Requested 300001 tokens, max 300000 tokens per request"
