"""What a folder says about its vectors, and what is refused with a reason."""

import pytest

from embedplane_server.errors import PermanentError
from embedplane_server.export.manifest import ExportManifest, export_key
from embedplane_server.model import describe
from embedplane_server.model.files import configuration_files, weight_files
from embedplane_server.settings import Overrides
from tests.unit.embedplane_server.model_folder import BERT, write_model


def modules(*types):
    return [{"idx": row, "path": f"{row}_M" if row else "", "type": kind} for row, kind in enumerate(types)]


def test_a_usual_model_is_described(tmp_path):
    described = describe(write_model(tmp_path), Overrides())
    assert (described.architecture, described.dimensions, described.pooling) == ("BertModel", 8, "mean")
    assert (described.normalized, described.max_sequence_length, described.similarity) == (True, 32, "cosine")
    assert described.default_prompt_text == ""


def test_the_window_is_never_more_than_the_models_positions(tmp_path):
    folder = write_model(tmp_path, sentence_bert_config_json={"max_seq_length": 100})
    assert describe(folder, Overrides()).max_sequence_length == 64


def test_positions_that_start_after_the_padding_token_are_not_counted(tmp_path):
    config = {**BERT, "model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    folder = write_model(tmp_path, config_json=config, sentence_bert_config_json=None)
    assert describe(folder, Overrides()).max_sequence_length == 512


def test_a_window_beyond_the_positions_is_refused_with_the_limit(tmp_path):
    with pytest.raises(PermanentError, match="Write 64 or less") as caught:
        describe(write_model(tmp_path), Overrides(max_sequence_length=65))
    assert caught.value.reason == "InvalidSettings"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ({"torch_dtype": "bfloat16"}, "bfloat16"),
        ({"dtype": "bfloat16", "torch_dtype": "float32"}, "bfloat16"),
        ({"dtype": "torch.float16"}, "float16"),
        ({}, None),
    ],
)
def test_the_type_of_the_weights_is_told_and_no_part_of_the_space(tmp_path, written, found):
    untyped = {name: value for name, value in BERT.items() if name not in ("dtype", "torch_dtype")}
    plain = describe(write_model(tmp_path / "plain", config_json=untyped), Overrides())

    described = describe(write_model(tmp_path / "typed", config_json={**untyped, **written}), Overrides())

    assert described.weights_type == found
    assert described.vector_space == plain.vector_space
    assert export_key(described.vector_space, "onnx") == export_key(plain.vector_space, "onnx")


def test_an_export_of_an_earlier_version_says_no_type_of_weights(tmp_path):
    described = describe(write_model(tmp_path), Overrides())
    document = ExportManifest(
        key="ex1-0",
        format="onnx",
        vector_space=described.vector_space,
        description=described,
        model_digest="d",
        commit="c",
        texts=1,
        versions={},
    ).model_dump(mode="json")
    del document["description"]["weights_type"]

    assert ExportManifest.model_validate(document).description.weights_type is None


def test_prompts_of_the_files_and_the_users_default(tmp_path):
    folder = write_model(tmp_path, config_sentence_transformers_json={"prompts": {"query": "find: ", "document": ""}})
    assert describe(folder, Overrides()).default_prompt is None
    described = describe(folder, Overrides(default_prompt="query"))
    assert described.default_prompt_text == "find: "


def test_a_default_prompt_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(PermanentError, match=r"embedding\.defaultPrompt") as caught:
        describe(write_model(tmp_path), Overrides(default_prompt="query"))
    assert caught.value.reason == "InvalidSettings"


def test_a_dense_module_sets_the_dimensions(tmp_path):
    kinds = [f"sentence_transformers.models.{kind}" for kind in ("Transformer", "Pooling", "Dense")]
    folder = write_model(
        tmp_path,
        modules_json=modules(*kinds),
        **{
            "1_M/config.json": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
            "2_M/config.json": {"in_features": 16, "out_features": 4, "activation_function": "torch.nn.modules.Tanh"},
            "2_M/model.safetensors": b"dense",
        },
    )
    described = describe(folder, Overrides())
    assert (described.dimensions, described.pooling, described.normalized) == (4, "cls+mean", False)


def test_a_plain_transformers_model_gets_mean_pooling(tmp_path):
    described = describe(write_model(tmp_path, modules_json=None, sentence_bert_config_json=None), Overrides())
    assert (described.pooling, described.normalized, described.max_sequence_length) == ("mean", False, 64)


def test_new_names_of_modules_are_known(tmp_path):
    kinds = (
        "sentence_transformers.base.modules.transformer.Transformer",
        "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    )
    files = {"1_M/config.json": {"pooling_mode": "max"}}
    assert describe(write_model(tmp_path, modules_json=modules(*kinds), **files), Overrides()).pooling == "max"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"config_json": {**BERT, "auto_map": {"AutoModel": "m.M"}}}, "trust_remote_code"),
        ({"config_json": {**BERT, "architectures": ["BertForSequenceClassification"]}}, "classifier or reranker"),
        ({"config_json": {"hidden_size": 8}}, "names no model_type"),
        ({"config_json": b"{"}, "config.json of the model is not valid JSON"),
        ({"modules_json": modules("custom_st.Transformer")}, "never run"),
        ({"modules_json": modules("sentence_transformers.models.BoW")}, "supported are"),
        ({"modules_json": modules("sentence_transformers.models.Transformer")}, "the modules are Transformer"),
        (
            {"modules_json": [{"type": "sentence_transformers.models.Transformer", "path": "../.."}]},
            "outside the model",
        ),
        ({"sentence_bert_config_json": {"model_args": {"trust_remote_code": True}}}, "trust_remote_code"),
        ({"sentence_bert_config_json": {"query_length": 32}}, "multi-vector"),
        ({"tokenizer_json": None}, "tokenizer.json is missing"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_cause(tmp_path, files, message):
    with pytest.raises(PermanentError, match=message) as caught:
        describe(write_model(tmp_path, **files), Overrides())
    assert caught.value.reason == "UnsupportedModel"


def test_weights_in_a_pickle_are_named_and_refused(tmp_path):
    folder = write_model(tmp_path, model_safetensors=None, **{"pytorch_model.bin": b"pickle"})
    with pytest.raises(PermanentError, match=r"only in pytorch_model\.bin.*pickles are never loaded") as caught:
        describe(folder, Overrides())
    assert caught.value.reason == "NoSafetensors"


def test_only_json_and_safetensors_of_the_chain_are_chosen():
    names = {
        "modules.json", "config.json", "tokenizer.json", "README.md", "pytorch_model.bin", "onnx/model.onnx", "run.py",
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
        "adapter_model.safetensors", "1_Pooling/config.json", "openvino/config.json", "vocab.txt",
    }  # fmt: skip
    places = (("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"))
    assert configuration_files(names, places) == [
        "1_Pooling/config.json",
        "config.json",
        "modules.json",
        "tokenizer.json",
    ]
    assert weight_files(names, places) == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]


def test_a_normalize_before_the_end_is_refused_rather_than_dropped(tmp_path):
    kinds = ("Transformer", "Pooling", "Normalize", "Dense")
    places = ("", "1_Pooling", "2_Normalize", "3_Dense")
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (kind, path) in enumerate(zip(kinds, places, strict=True))
    ]
    folder = write_model(tmp_path, modules_json=modules)
    with pytest.raises(PermanentError, match="Normalize is served at the end only") as caught:
        describe(folder, Overrides())
    assert caught.value.reason == "UnsupportedModel"
