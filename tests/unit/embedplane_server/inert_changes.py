"""Changes of a model that move no vector."""

from typing import Any

from hypothesis import strategies as some

from embedplane_server.model.space import INERT_KEYS
from tests.unit.embedplane_server.changed_models import LEGACY_MODES, Change, Files, names, values


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(each) for each in value] if isinstance(value, list) else value


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
