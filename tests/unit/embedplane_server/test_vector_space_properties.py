"""The vector space id in both directions: whatever moves no vector keeps it, whatever moves vectors changes it.

Models are folders with every kind of module; each change is one that a person or a program makes to such a folder.
"""

import copy
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as some

from embedplane_server.model import describe
from embedplane_server.model.space import INERT_KEYS
from embedplane_server.settings import Overrides
from tests.unit.embedplane_server.model_folder import word_tokenizer

Files = dict[str, Any]
"""A model: the content of each file by its path, JSON or bytes."""
ORIGINAL = "vs1-31a224ba6c412f076623"
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
quick = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
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


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(each) for each in value] if isinstance(value, list) else value


# What moves no vector.


def order_of_keys(files: Files, _: some.DataObject) -> None:
    for path, content in files.items():
        if path not in ("config_sentence_transformers.json", "tokenizer.json"):
            files[path] = reordered(content)


def inert_keys(files: Files, data: some.DataObject) -> None:
    chosen = data.draw(some.dictionaries(some.sampled_from(sorted(INERT_KEYS)), values))
    for path in ("config.json", "2_Dense/config.json", "3_LayerNorm/config.json"):
        files[path].update(chosen)
    files["config.json"]["rope_parameters"].update(chosen)


def versions_of_libraries(files: Files, data: some.DataObject) -> None:
    files["config_sentence_transformers.json"]["__version__"] = data.draw(values)


def similarity_function(files: Files, data: some.DataObject) -> None:
    files["config_sentence_transformers.json"]["similarity_fn_name"] = data.draw(some.sampled_from(["cosine", "dot"]))


def prompts_without_text(files: Files, data: some.DataObject) -> None:
    added = data.draw(some.sets(names))
    files["config_sentence_transformers.json"]["prompts"].update(dict.fromkeys(added, ""))


def older_form_of_the_pooling(files: Files, _: some.DataObject) -> None:
    config = files["1_Pooling/config.json"]
    mode = config.pop("pooling_mode")
    config.update({key: mode == each for key, each in LEGACY_MODES.items()})


def prompt_tokens_pooled_as_usual(files: Files, _: some.DataObject) -> None:
    files["1_Pooling/config.json"]["include_prompt"] = True


def padding_and_truncation(files: Files, data: some.DataObject) -> None:
    files["tokenizer.json"]["truncation"] = {
        "direction": "Right", "max_length": data.draw(some.integers(1, 99)), "strategy": "LongestFirst", "stride": 0,
    }  # fmt: skip


def tokenizer_keys_that_count_nowhere(files: Files, data: some.DataObject) -> None:
    files["tokenizer_config.json"].update(
        {"name_or_path": data.draw(names), "model_max_length": 99, "never_split": None}
    )


def tokens_that_the_tokenizer_has(files: Files, _: some.DataObject) -> None:
    files["tokenizer_config.json"].update(image_token="[CLS]", added_tokens_decoder={"2": {"content": "[CLS]"}})


def usual_way_of_a_text(files: Files, _: some.DataObject) -> None:
    usual = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
    files["sentence_bert_config.json"].update(modality_config=usual, module_output_name="token_embeddings")


def arguments_about_numbers_only(files: Files, data: some.DataObject) -> None:
    arguments = {data.draw(some.sampled_from(["dtype", "torch_dtype", "attn_implementation"])): data.draw(names)}
    files["sentence_bert_config.json"]["model_args"] = arguments


def other_files(files: Files, data: some.DataObject) -> None:
    files["README.md"] = data.draw(some.binary(max_size=9))
    files["onnx/model.onnx"] = b"another format"


def dropout(files: Files, _: some.DataObject) -> None:
    entry = {"idx": 9, "name": "9", "path": "9_Dropout", "type": "sentence_transformers.models.Dropout"}
    files["modules.json"].insert(2, entry)
    files["9_Dropout/config.json"] = {"dropout": 0.3}


def names_of_modules(files: Files, data: some.DataObject) -> None:
    for entry in files["modules.json"]:
        entry["name"] = data.draw(names)


INERT: tuple[Change, ...] = (
    order_of_keys,
    inert_keys,
    versions_of_libraries,
    tokens_that_the_tokenizer_has,
    similarity_function,
    prompts_without_text,
    older_form_of_the_pooling,
    prompt_tokens_pooled_as_usual,
    padding_and_truncation,
    tokenizer_keys_that_count_nowhere,
    usual_way_of_a_text,
    arguments_about_numbers_only,
    other_files,
    dropout,
    names_of_modules,
)

# What moves vectors.


def a_byte_of_any_weights(files: Files, data: some.DataObject) -> None:
    path = data.draw(some.sampled_from(sorted(name for name in files if ".safetensors" in name)))
    content = bytearray(files[path])
    content[data.draw(some.integers(0, len(content) - 1))] ^= data.draw(some.integers(1, 255))
    files[path] = bytes(content)


def any_other_key_of_a_config(files: Files, data: some.DataObject) -> None:
    path = data.draw(some.sampled_from(["config.json", "2_Dense/config.json", "3_LayerNorm/config.json"]))
    key = data.draw(names.filter(lambda name: name not in INERT_KEYS and name not in files[path]))
    assume(key not in ("auto_map", "module_input_name"))
    files[path][key] = data.draw(values)


def a_value_deep_in_the_config(files: Files, data: some.DataObject) -> None:
    files["config.json"]["rope_parameters"]["rope_theta"] = data.draw(some.integers(1, 9999))


def the_pooling(files: Files, data: some.DataObject) -> None:
    chosen = data.draw(some.lists(some.sampled_from(MODES), min_size=1, unique=True).filter(lambda c: c != ["mean"]))
    files["1_Pooling/config.json"] = {
        "embedding_dimension": 8,
        "pooling_mode": chosen[0] if len(chosen) == 1 else chosen,
    }


def the_activation(files: Files, data: some.DataObject) -> None:
    activation = data.draw(some.sampled_from(["ReLU", "Sigmoid", "GELU"]))
    files["2_Dense/config.json"]["activation_function"] = f"torch.nn.modules.activation.{activation}"


def a_module_less(files: Files, data: some.DataObject) -> None:
    path = data.draw(some.sampled_from(["2_Dense", "3_LayerNorm", "4_Normalize"]))
    files["modules.json"] = [entry for entry in files["modules.json"] if entry["path"] != path]


def modules_in_another_order(files: Files, _: some.DataObject) -> None:
    paths = ["", "1_Pooling", "3_LayerNorm", "2_Dense", "4_Normalize"]
    by_path = {entry["path"]: entry for entry in files["modules.json"]}
    files["modules.json"] = [by_path[path] for path in paths]


def the_text_of_a_prompt(files: Files, data: some.DataObject) -> None:
    text = data.draw(some.text(max_size=20).filter(lambda drawn: drawn != "find: "))
    files["config_sentence_transformers.json"]["prompts"]["query"] = text


def the_name_of_a_prompt(files: Files, data: some.DataObject) -> None:
    name = data.draw(names.filter(lambda drawn: drawn != "query"))
    files["config_sentence_transformers.json"]["prompts"] = {name: "find: "}


def a_further_prompt(files: Files, data: some.DataObject) -> None:
    name = data.draw(names.filter(lambda drawn: drawn != "query"))
    files["config_sentence_transformers.json"]["prompts"][name] = data.draw(some.text(min_size=1, max_size=9))


def prompt_tokens_left_out(files: Files, _: some.DataObject) -> None:
    config = files["1_Pooling/config.json"]
    assume("weightedmean" not in config.get("pooling_mode", ()))  # refused
    config["include_prompt"] = False


def the_default_prompt(files: Files, _: some.DataObject) -> None:
    files["config_sentence_transformers.json"]["default_prompt_name"] = "query"


def the_tokenizer(files: Files, data: some.DataObject) -> None:
    change = data.draw(some.sampled_from(["vocabulary", "normalizer", "post-processor"]))
    tokenizer = files["tokenizer.json"]
    if change == "vocabulary":
        tokenizer["model"]["vocab"][data.draw(names.filter(lambda name: name not in tokenizer["model"]["vocab"]))] = 13
    elif change == "normalizer":
        tokenizer["normalizer"] = {"type": "Lowercase"}
    else:
        tokenizer["post_processor"] = None


def lower_casing(files: Files, data: some.DataObject) -> None:
    path = data.draw(some.sampled_from(["sentence_bert_config.json", "tokenizer_config.json"]))
    files[path]["do_lower_case"] = True


def special_tokens(files: Files, data: some.DataObject) -> None:
    key = data.draw(some.sampled_from(["cls_token", "sep_token", "eos_token", "bos_token", "mask_token"]))
    files["tokenizer_config.json"][key] = data.draw(some.text("<>[]abc", min_size=1, max_size=9))


def end_tokens(files: Files, data: some.DataObject) -> None:
    files["tokenizer_config.json"][data.draw(some.sampled_from(["add_bos_token", "add_eos_token"]))] = True


def tokens_that_the_tokenizer_lacks(files: Files, data: some.DataObject) -> None:
    token = data.draw(some.text("<>|abc", min_size=1, max_size=9))
    key, value = data.draw(
        some.sampled_from(
            [
                ("added_tokens_decoder", {"13": {"content": token}}),
                ("model_specific_special_tokens", {"image_token": token}),
                ("image_token", token),
            ]
        )
    )
    files["tokenizer_config.json"][key] = value


def sides(files: Files, data: some.DataObject) -> None:
    files["tokenizer_config.json"][data.draw(some.sampled_from(["padding_side", "truncation_side"]))] = "left"


def the_window(files: Files, data: some.DataObject) -> None:
    files["sentence_bert_config.json"]["max_seq_length"] = data.draw(some.integers(1, 64).filter(lambda n: n != 32))


def arguments_of_the_transformer(files: Files, data: some.DataObject) -> None:
    key = data.draw(some.sampled_from(["config_args", "tokenizer_args", "config_kwargs", "processor_kwargs"]))
    files["sentence_bert_config.json"][key] = {data.draw(names): data.draw(values.filter(bool))}


def another_output_of_the_transformer(files: Files, data: some.DataObject) -> None:
    output = data.draw(some.sampled_from(["pooler_output", ["hidden_states", -2]]))
    modality = {"text": {"method": "forward", "method_output_name": output}}
    files["sentence_bert_config.json"]["modality_config"] = modality


LIVE: tuple[Change, ...] = (
    a_byte_of_any_weights,
    any_other_key_of_a_config,
    a_value_deep_in_the_config,
    the_pooling,
    the_activation,
    a_module_less,
    modules_in_another_order,
    the_text_of_a_prompt,
    the_name_of_a_prompt,
    a_further_prompt,
    prompt_tokens_left_out,
    the_default_prompt,
    the_tokenizer,
    lower_casing,
    special_tokens,
    end_tokens,
    tokens_that_the_tokenizer_lacks,
    sides,
    the_window,
    arguments_of_the_transformer,
    another_output_of_the_transformer,
)


def changed(files: Files, data: some.DataObject, *changes: Change) -> Files:
    found = copy.deepcopy(files)
    for change in changes:
        change(found, data)
    return found


def test_the_id_of_this_model_never_changes() -> None:
    assert space(model()) == ORIGINAL


@pytest.mark.parametrize("change", INERT, ids=lambda change: change.__name__)
@quick
@given(data=some.data())
def test_what_moves_no_vector_keeps_the_id(change: Change, data: some.DataObject) -> None:
    assert space(changed(model(), data, change)) == ORIGINAL


@quick
@given(data=some.data(), changes=some.lists(some.sampled_from(INERT), unique=True), indent=some.sampled_from([None, 2]))
def test_nor_does_any_number_of_such_changes(data: some.DataObject, changes: list[Change], indent: int | None) -> None:
    assert space(changed(model(), data, *changes), indent=indent) == ORIGINAL


@pytest.mark.parametrize("change", LIVE, ids=lambda change: change.__name__)
@quick
@given(data=some.data(), others=some.lists(some.sampled_from(INERT), unique=True, max_size=3))
def test_what_moves_vectors_changes_the_id(change: Change, data: some.DataObject, others: list[Change]) -> None:
    assert space(changed(model(), data, *others, change)) != ORIGINAL


@quick
@given(data=some.data())
def test_leaving_prompts_out_of_the_pooling_means_nothing_where_there_are_none(data: some.DataObject) -> None:
    with_none = model()
    with_none["config_sentence_transformers.json"]["prompts"] = {}
    assert space(changed(with_none, data, prompt_tokens_left_out)) == space(with_none)


@pytest.mark.parametrize("change", LIVE, ids=lambda change: change.__name__)
@quick
@given(data=some.data())
def test_two_such_changes_have_an_id_each(change: Change, data: some.DataObject) -> None:
    other = data.draw(some.sampled_from([each for each in LIVE if each is not change]))
    one, another = changed(model(), data, change), changed(model(), data, other)
    assert one == another or space(one) != space(another)
