"""A model with every kind of module as a folder, and changes of it that a person or a program makes."""

import copy
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as some

from embedplane_server.model import describe
from embedplane_server.settings import Overrides
from tests.unit.embedplane_server.model_folder import word_tokenizer

Files = dict[str, Any]
"""A model: the content of each file by its path, JSON or bytes."""
Change = Callable[[Files, some.DataObject], None]

MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
LEGACY_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
CHAIN = {
    "": "Transformer",
    "1_Pooling": "Pooling",
    "2_Dense": "Dense",
    "3_LayerNorm": "LayerNorm",
    "4_Normalize": "Normalize",
}

names = some.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)
values = some.recursive(
    some.none() | some.booleans() | some.integers(-9, 9) | some.text(max_size=4),
    lambda inner: some.lists(inner, max_size=2) | some.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)


def tokenizer() -> dict[str, Any]:
    """Return a tokenizer.json that names one of its tokens as added."""
    entry = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {**json.loads(word_tokenizer().to_str()), "added_tokens": [{"id": 2, "content": "[CLS]", **entry}]}


def model() -> Files:
    """Return a model with a module of every kind, weights in two shards and one prompt."""
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (path, kind) in enumerate(CHAIN.items())
    ]
    return {
        "modules.json": modules,
        "config.json": {
            "model_type": "bert",
            "architectures": ["BertModel"],
            "hidden_size": 8,
            "max_position_embeddings": 64,
            "rope_parameters": {"rope_theta": 10000.0},
        },
        "sentence_bert_config.json": {"max_seq_length": 32, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": {"query": "find: ", "document": ""},
            "default_prompt_name": None,
        },
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": {"cls_token": "[CLS]", "model_max_length": 512, "padding_side": "right"},
        "special_tokens_map.json": {"sep_token": "[SEP]"},
        "1_Pooling/config.json": {"embedding_dimension": 8, "pooling_mode": "mean"},
        "2_Dense/config.json": {
            "in_features": 8,
            "out_features": 6,
            "bias": True,
            "activation_function": "torch.nn.modules.activation.Tanh",
        },
        "3_LayerNorm/config.json": {"dimension": 6},
        "model.safetensors.index.json": b"which shard holds what",
        "model-00001-of-00002.safetensors": b"first half",
        "model-00002-of-00002.safetensors": b"second half",
        "2_Dense/model.safetensors": b"dense",
        "3_LayerNorm/model.safetensors": b"layer norm",
    }


@contextmanager
def written(files: Mapping[str, Any], indent: int | None = None) -> Iterator[Path]:
    """Give a folder with these files."""
    with tempfile.TemporaryDirectory() as name:
        for path, content in files.items():
            place = Path(name) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            text = content if isinstance(content, bytes) else json.dumps(content, indent=indent).encode()
            place.write_bytes(text)
        yield Path(name)


def space(files: Mapping[str, Any], indent: int | None = None) -> str:
    with written(files, indent) as folder:
        return describe(folder, Overrides()).vector_space


def changed(files: Files, data: some.DataObject, *changes: Change) -> Files:
    found = copy.deepcopy(files)
    for change in changes:
        change(found, data)
    return found
