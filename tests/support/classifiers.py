"""Small real rerankers and classifiers: random weights of a fixed seed behind real tokenizers."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.reference import minilm_folder
from tests.support.texts import texts_up_to

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "initializer_range": 0.2,
}
SPREAD = 3.0
"""Standard deviation of the logits, so that scores are neither all alike nor all 0 and 1."""
LABELS = ("contradiction", "entailment", "neutral")


def reference_cross_encoder(folder: Path) -> "CrossEncoder":
    """Return sentence-transformers' own view of a model."""
    from sentence_transformers import CrossEncoder  # noqa: PLC0415 -- torch takes seconds to import

    return CrossEncoder(str(folder), device="cpu", local_files_only=True)


def save_bert(folder: Path, labels: Iterable[str] = ("LABEL_0",), **config: Any) -> Path:
    """Write a BERT with MiniLM's tokenizer; one label makes it a reranker."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification  # noqa: PLC0415 -- torch is slow

    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    shape = {**SHAPE, "vocab_size": tokenizer.vocab_size, "max_position_embeddings": 128}
    return _save(folder, BertForSequenceClassification, BertConfig(**shape, **_labelled(labels), **config), tokenizer)


def save_roberta(folder: Path, **config: Any) -> Path:
    """Write a RoBERTa reranker, which has no types of tokens, with a byte-level tokenizer of its own."""
    from transformers import (  # noqa: PLC0415 -- torch is slow
        PreTrainedTokenizerFast,
        RobertaConfig,
        RobertaForSequenceClassification,
    )

    special = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_level_tokenizer(),
        model_max_length=128,
        model_input_names=["input_ids", "attention_mask"],
        **special,
    )
    shape = {**SHAPE, "vocab_size": len(tokenizer), "max_position_embeddings": 130, "type_vocab_size": 1}
    config = {**shape, **_labelled(["LABEL_0"]), "pad_token_id": 1, **config}
    return _save(folder, RobertaForSequenceClassification, RobertaConfig(**config), tokenizer)


def _labelled(labels: Iterable[str]) -> dict[str, Any]:
    by_index = dict(enumerate(labels))
    return {"id2label": by_index, "label2id": {label: index for index, label in by_index.items()}}


def _byte_level_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers  # noqa: PLC0415 -- by need

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<s>", "<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts_up_to(200, 40), trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def _save(folder: Path, kind: Any, config: Any, tokenizer: Any) -> Path:
    import torch  # noqa: PLC0415 -- slow

    torch.manual_seed(7)
    model = kind(config).eval()
    texts = texts_up_to(100, 40)
    features = tokenizer(
        texts, texts[::-1], padding=True, truncation="longest_first", max_length=128, return_tensors="pt"
    )
    with torch.no_grad():
        head = getattr(model.classifier, "out_proj", model.classifier)
        logits = model(**features).logits
        head.weight *= SPREAD / logits.std(dim=0, keepdim=True).T
        head.bias -= model(**features).logits.mean(dim=0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
