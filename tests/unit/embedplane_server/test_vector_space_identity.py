"""The vector space id changes with everything that moves vectors, and with nothing else."""

import json

import pytest

from embedplane_server.model import describe
from embedplane_server.settings import Overrides
from tests.support.reference import minilm_folder
from tests.unit.embedplane_server.model_folder import BERT, word_tokenizer, write_model

WINDOW = {"max_seq_length": 32, "do_lower_case": False}


def space(tmp_path, overrides=None, **files):
    number = len(list(tmp_path.iterdir()))
    return describe(write_model(tmp_path / f"model-{number}", **files), overrides or Overrides()).vector_space


def test_the_id_is_the_same_wherever_the_model_lies(tmp_path):
    first = space(tmp_path)
    assert first == space(tmp_path)
    assert first.startswith("vs1-")
    assert len(first) == 24


def test_the_id_of_a_known_model_never_changes():
    assert describe(minilm_folder(), Overrides()).vector_space == "vs1-1c8f93d0ee5ae2ff63aa"


@pytest.mark.parametrize(
    "files",
    [
        {"config_json": {**BERT, "torch_dtype": "float16", "dtype": "float32"}},
        {"config_json": {**BERT, "_name_or_path": "somewhere/else", "transformers_version": "9.9.9"}},
        {"config_json": dict(reversed(BERT.items()))},
        {"1_Pooling_config_json": {"embedding_dimension": 8, "pooling_mode": "mean"}},
        {"config_sentence_transformers_json": {"__version__": {"transformers": "4.6"}, "similarity_fn_name": "dot"}},
        {"config_sentence_transformers_json": {"prompts": {"query": "", "document": ""}}},
        {"README_md": b"another text"},
        {"sentence_bert_config_json": {**WINDOW, "config_args": {}, "unpad_inputs": False}},
        {"sentence_bert_config_json": {**WINDOW, "model_args": {"torch_dtype": "float16", "trust_remote_code": False}}},
        {"sentence_bert_config_json": {**WINDOW, "module_output_name": "token_embeddings"}},
        {"tokenizer_config_json": {"cls_token": {"content": "[CLS]"}, "model_max_length": 99, "name_or_path": "x"}},
    ],
)
def test_what_moves_no_vector_changes_no_id(tmp_path, files):
    assert space(tmp_path, **files) == space(tmp_path)


def test_padding_and_truncation_of_the_tokenizer_change_no_id(tmp_path):
    tokenizer = word_tokenizer()
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(128)
    assert space(tmp_path, tokenizer_json=json.loads(tokenizer.to_str())) == space(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        {"model_safetensors": b"other weights"},
        {"sentence_bert_config_json": {**WINDOW, "config_args": {"num_hidden_layers": 1}}},
        {"sentence_bert_config_json": {**WINDOW, "tokenizer_args": {"do_lower_case": True}}},
        {"config_json": {**BERT, "layer_norm_eps": 1e-6}},
        {"1_Pooling_config_json": {"word_embedding_dimension": 8, "pooling_mode_cls_token": True}},
        {"config_sentence_transformers_json": {"prompts": {"query": "find: "}}},
        {"config_sentence_transformers_json": {"prompts": {"query": "find: "}, "default_prompt_name": "query"}},
        {"sentence_bert_config_json": {"max_seq_length": 31}},
        {"sentence_bert_config_json": {"max_seq_length": 32, "do_lower_case": True}},
        {"tokenizer_config_json": {"cls_token": "[CLS]", "add_eos_token": True}},
        {"tokenizer_json": {**json.loads(word_tokenizer().to_str()), "normalizer": {"type": "Lowercase"}}},
    ],
)
def test_what_moves_vectors_changes_the_id(tmp_path, files):
    assert space(tmp_path, **files) != space(tmp_path)


@pytest.mark.parametrize(
    "overrides",
    [
        Overrides(pooling="cls"),
        Overrides(normalize=False),
        Overrides(max_sequence_length=16),
        Overrides(prompts={"query": "find: "}),
        Overrides(prompts={"query": "find: "}, default_prompt="query"),
    ],
)
def test_an_override_changes_the_id(tmp_path, overrides):
    assert space(tmp_path, overrides) != space(tmp_path)


def test_an_override_that_says_what_the_files_say_changes_nothing(tmp_path):
    same = Overrides(pooling="mean", normalize=True, max_sequence_length=32, prompts={})
    assert space(tmp_path, same) == space(tmp_path)


def test_so_does_one_of_a_model_whose_normalisation_has_a_configuration(tmp_path):
    written = {"2_Normalize/config.json": {"module_input_name": "sentence_embedding"}}
    assert space(tmp_path, Overrides(normalize=True), **written) == space(tmp_path, **written)


def test_each_difference_has_an_id_of_its_own(tmp_path):
    query, default = Overrides(prompts={"q": "x"}), Overrides(prompts={"q": "x"}, default_prompt="q")
    ids = [space(tmp_path, overrides) for overrides in (Overrides(), Overrides(pooling="cls"), query, default)]
    assert len(set(ids)) == len(ids)
