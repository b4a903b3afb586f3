"""What differs between two vector spaces is told by part: each change shows in exactly the part that it is of."""

import json

import pytest

from embedplane_server.model.description import read_model
from embedplane_server.model.parts import part_digests
from embedplane_server.settings import Overrides
from tests.unit.embedplane_server.model_folder import word_tokenizer, write_model

PARTS = {"weights", "config", "modules", "tokenizer", "prompts", "window"}
BERT = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8, "max_position_embeddings": 64}


def parts(tmp_path, overrides=None, **files):
    number = len(list(tmp_path.iterdir()))
    return part_digests(read_model(write_model(tmp_path / f"model-{number}", **files), overrides or Overrides()).form)


def other_tokenizer():
    tokenizer = word_tokenizer()
    tokenizer.add_tokens(["embedplane"])
    return json.loads(tokenizer.to_str())


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("weights", {"model_safetensors": b"other weights"}),
        ("config", {"config_json": {**BERT, "hidden_act": "relu"}}),
        ("modules", {"overrides": Overrides(pooling="cls")}),
        ("modules", {"overrides": Overrides(normalize=False)}),
        ("tokenizer", {"tokenizer_json": other_tokenizer()}),
        ("prompts", {"overrides": Overrides(prompts={"query": "query: "})}),
        ("window", {"overrides": Overrides(max_sequence_length=16)}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_change_shows_in_the_part_that_it_is_of(tmp_path, part, change):
    before, after = parts(tmp_path), parts(tmp_path, **change)

    assert set(before) == PARTS
    assert {name for name in PARTS if before[name] != after[name]} == {part}


def test_the_same_files_have_the_same_parts_and_each_is_short(tmp_path):
    assert parts(tmp_path) == parts(tmp_path)
    assert {len(digest) for digest in parts(tmp_path).values()} == {12}
