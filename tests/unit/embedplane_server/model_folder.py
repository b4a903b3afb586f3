"""A folder that looks like a sentence-transformers model, small and without real weights."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog")

BERT = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8, "max_position_embeddings": 64}


def word_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def write_model(folder: Path, **files: Any) -> Path:
    """Write a model; a keyword replaces a file's content (None leaves it out): config_json=..., weights=b"..."."""
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    content: dict[str, Any] = {
        "config.json": BERT,
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": 32, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {}},
        "1_Pooling/config.json": {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True},
        "tokenizer.json": json.loads(word_tokenizer().to_str()),
        "tokenizer_config.json": {"cls_token": "[CLS]", "model_max_length": 512},
        "README.md": b"not part of the model",
        "model.safetensors": b"weights",
    }
    names = {name.replace(".", "_").replace("/", "_"): name for name in content}
    content |= {names.get(key, key): value for key, value in files.items()}
    for name, value in content.items():
        if value is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return folder
