"""Changes of a model that move vectors."""

from hypothesis import assume
from hypothesis import strategies as some

from embedplane_server.model.space import INERT_KEYS
from tests.unit.embedplane_server.changed_models import MODES, Change, Files, names, values


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
